// The worker counts Unicode code points; JavaScript strings count UTF-16 code units (two for an emoji).

function advance(text, from, points) {
  let units = from;
  for (let left = points; left > 0; left -= 1) units += text.codePointAt(units) > 0xffff ? 2 : 1;
  return units;
}

/** Converts a span from code points to UTF-16 code units of `text`. */
export function spanUnits(text, start, end) {
  const began = advance(text, 0, start);
  return [began, advance(text, began, end - start)];
}
