% The four preprocessing steps in GNU Octave, the other side of preparation_speed.py.
%
%   octave --no-gui --quiet prepare.m FOLDER SIZE ROUNDS
%
% FOLDER holds decoded radiographs as NAME.raw (uint8, row after row) and sizes.txt (name, height,
% width). Reading them is not timed. Prints "seconds ROUND VALUE" for each round.
%
% The crop is the textbook one: Otsu's threshold, the largest connected region, its box. It does not
% look past frames and collimator edges, does not leave out the forearm and checks nothing, so it
% does less than the crop that it is compared with.
1;

function image = normalise (pixels)
  steps = max (1, floor (size (pixels) / 256));
  sample = single (pixels(1:steps(1):end, 1:steps(2):end)(:));
  limits = prctile (sample, [1, 99.8]);
  image = (single (pixels) - limits(1)) / max (limits(2) - limits(1), 1);
  image = min (max (image, 0), 1);
end

function cropped = crop (image)
  small = imresize (image, 256 / max (size (image)), "linear");
  mask = small > graythresh (small);
  labels = bwlabel (mask);
  counts = accumarray (labels(labels > 0), 1);
  [~, largest] = max (counts);
  [rows, columns] = find (labels == largest);
  scale = max (size (image)) / 256;
  top = max (1, floor ((min (rows) - 1) * scale));
  left = max (1, floor ((min (columns) - 1) * scale));
  bottom = min (rows_of (image), ceil (max (rows) * scale));
  right = min (columns_of (image), ceil (max (columns) * scale));
  cropped = image(top:bottom, left:right);
end

function n = rows_of (image)
  n = size (image, 1);
end

function n = columns_of (image)
  n = size (image, 2);
end

function square = pad_to_square (image)
  [height, width] = size (image);
  side = max (height, width);
  square = zeros (side, side, "single");
  top = floor ((side - height) / 2);
  left = floor ((side - width) / 2);
  square(top + (1:height), left + (1:width)) = image;
end

pkg load image
arguments = argv ();
folder = arguments{end - 2};
size_px = str2double (arguments{end - 1});
rounds = str2double (arguments{end});
[names, heights, widths] = textread (fullfile (folder, "sizes.txt"), "%s %d %d");
images = cell (numel (names), 1);
for i = 1:numel (names)
  file = fopen (fullfile (folder, [names{i}, ".raw"]));
  images{i} = fread (file, [widths(i), heights(i)], "uint8=>uint8")';
  fclose (file);
end
for turn = 1:rounds
  start = tic;
  for i = 1:numel (images)
    square = pad_to_square (crop (normalise (images{i})));
    prepared = imresize (square, [size_px, size_px], "linear");  % antialiased when it shrinks
    assert (size (prepared), [size_px, size_px]);
  end
  printf ("seconds %d %.6f\n", turn, toc (start));
end
