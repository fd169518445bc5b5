// What hands do to the viewer: mouse, fingers and keys. Every gesture has a button or a slider, too.

const DOUBLE_CLICK_ZOOM = 2;
const PAN_STEP_PX = 40;
const WINDOW_STEPS = 32;

const MOVES = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const DEEDS = {
  "+": "in",
  "=": "in",
  "-": "out",
  "−": "out",
  0: "fit",
  1: "actual",
  i: "invert",
  h: "heat",
  r: "reset",
};

/** Let a viewer be moved by everything that a person may have at hand. */
export function listen(viewer) {
  const { root, stage } = viewer;
  for (const button of root.querySelectorAll("[data-do]")) {
    button.addEventListener("click", () => viewer.act(button.dataset.do));
  }
  for (const input of root.querySelectorAll("[data-set]")) {
    input.addEventListener("input", () => viewer.slid(input.dataset.set, Number(input.value)));
  }
  stage.addEventListener("keydown", (event) => onKey(viewer, event));
  stage.addEventListener("wheel", (event) => onWheel(viewer, event), { passive: false });
  stage.addEventListener("contextmenu", (event) => event.preventDefault());
  stage.addEventListener("dblclick", (event) => {
    if (viewer.picture) viewer.zoom(DOUBLE_CLICK_ZOOM, event.offsetX, event.offsetY);
  });
  const pointers = new Map();
  stage.addEventListener("pointerdown", (event) => {
    stage.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
  });
  stage.addEventListener("pointermove", (event) => onDrag(viewer, event, pointers));
  for (const end of ["pointerup", "pointercancel"]) {
    stage.addEventListener(end, (event) => pointers.delete(event.pointerId));
  }
}

function onWheel(viewer, event) {
  if (!viewer.picture) return;
  event.preventDefault();
  const turn = Math.sign(event.deltaY) * Math.min(Math.abs(event.deltaY), 100);
  viewer.zoom(Math.exp(-turn / 400), event.offsetX, event.offsetY);
}

function onDrag(viewer, event, pointers) {
  const before = pointers.get(event.pointerId);
  if (!before || !viewer.picture) return;
  const others = [...pointers.values()].filter((one) => one.pointerId !== event.pointerId);
  pointers.set(event.pointerId, event);
  const [right, down] = [event.clientX - before.clientX, event.clientY - before.clientY];
  if (others.length) {
    pinch(viewer, before, event, others[0]);
    viewer.pan(right / 2, down / 2);
  } else if (event.shiftKey || event.buttons & 2) {
    const [wide, high] = viewer.size();
    viewer.nudge(right / wide, down / high);
  } else if (event.pointerType !== "touch" || !viewer.fitted) {
    viewer.pan(right, down); // a finger on a fitted picture scrolls the page instead
  }
}

/** Zoom by how far two fingers have moved apart, about the place between them. */
function pinch(viewer, before, now, other) {
  const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
  const corner = viewer.stage.getBoundingClientRect();
  const x = (now.clientX + other.clientX) / 2 - corner.left;
  const y = (now.clientY + other.clientY) / 2 - corner.top;
  viewer.zoom(apart(now) / Math.max(apart(before), 1), x, y);
}

function onKey(viewer, event) {
  if (!viewer.picture || event.ctrlKey || event.metaKey || event.altKey) return;
  const move = MOVES[event.key];
  const deed = DEEDS[event.key.toLowerCase()];
  if (move && event.shiftKey) viewer.nudge(-move[0] / WINDOW_STEPS, move[1] / WINDOW_STEPS);
  else if (move) viewer.pan(PAN_STEP_PX * move[0], PAN_STEP_PX * move[1]);
  else if (deed) viewer.act(deed);
  else return;
  event.preventDefault();
}
