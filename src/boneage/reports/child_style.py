"""The style of the page on one child: dense, calm, and one A4 page in print."""

__all__ = ["CHILD_STYLE"]

CHILD_STYLE = """
:root { --accent: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --accent: #6db9e8; } }
body { font-size: .94rem; line-height: 1.42; }
h1 { font-size: 1.4rem; margin-bottom: .2rem; }
h2 { font-size: 1rem; margin: 1.1rem 0 .35rem; }
h3 { font-size: .94rem; margin: .7rem 0 .2rem; }
header p { margin: .15rem 0 .5rem; }
.notice { padding: .4rem .7rem; max-width: none; }
.result { display: grid; grid-template-columns: minmax(0, 2fr) minmax(0, 3fr); gap: 0 1.5rem; }
.result.wide { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); }
.sure { grid-column: 1 / -1; }
.result h2 { grid-column: 1 / -1; margin-top: .5rem; }
.pictures { display: flex; gap: .6rem; }
.pictures figure { margin: 0; flex: 1; min-width: 0; }
.pictures img { max-height: 24rem; background: #000; border-radius: 0; }
.pair { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 0 1.5rem; }
.pair figure { margin: 0; }
.age { margin: 0 0 .5rem; font-size: 1.15rem; }
.age strong { font-size: 1.6rem; }
.warning { border-left: .25rem solid var(--notice-line); padding-left: .6rem; }
dl { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: .15rem 1rem;
  margin: 0; max-width: none; font-variant-numeric: tabular-nums; }
dt { color: var(--muted); max-width: 15rem; }
dd { margin: 0; overflow-wrap: anywhere; }
ul { margin: .2rem 0; padding-left: 1.1rem; }
li { margin: .2rem 0; }
.pair dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
.pair dd { margin-bottom: .35rem; }
td, th { padding-right: .7rem; }
td:last-child, th:last-child { padding-right: 0; }
figcaption { font-size: .82rem; }
@media (max-width: 44rem) {
  .result, .result.wide, .pair { grid-template-columns: minmax(0, 1fr); gap: .8rem 0; }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dd { margin-bottom: .35rem; }
}
@page { size: A4; margin: 11mm 13mm; }
@media print {
  :root { color-scheme: light; --ink: #000; --muted: #444; --paper: #fff; --line: #bbb;
    --notice: #fff; --accent: #00507d; }
  body { font-size: 8.4pt; line-height: 1.32; }
  h1 { font-size: 13pt; }
  h2 { font-size: 9.5pt; margin: 2.6mm 0 1mm; }
  h3 { font-size: 8.4pt; margin: 1.6mm 0 .5mm; }
  p, figure { max-width: none; }
  .notice { border: .3mm solid var(--notice-line); padding: 1mm 2mm; margin: 0; }
  .result { grid-template-columns: minmax(0, 2fr) minmax(0, 3fr); gap: 0 6mm; }
  .result.wide, .pair { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 0 6mm; }
  .pair { break-inside: avoid; }
  .chart { max-height: 47mm; }
  .small { font-size: 7.4pt; line-height: 1.25; }
  dl { grid-template-columns: minmax(22mm, max-content) 1fr; gap: .4mm 4mm; }
  dd { margin: 0; }
  .pictures img { max-height: 57mm; }
  .scale { font-size: 7.4pt; margin-top: .6mm; }
  .pictures img, .chart, .scale .bar { print-color-adjust: exact;
    -webkit-print-color-adjust: exact; }
  .age { font-size: 10pt; }
  .age strong { font-size: 15pt; }
  figcaption, caption, table { font-size: 7.4pt; }
  .scroll { overflow: visible; }
  td, th { padding: .5mm 2mm .5mm 0; }
}
"""
