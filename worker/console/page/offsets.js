// The worker counts code points; JavaScript's texts count UTF-16 units, two for an emoji.

function advance(text, from, points) {
  let units = from;
  for (let left = points; left > 0; left -= 1) units += text.codePointAt(units) > 0xffff ? 2 : 1;
  return units;
}

/** Where a span of code points begins and ends, in units of the text. */
export function spanUnits(text, start, end) {
  const began = advance(text, 0, start);
  return [began, advance(text, began, end - start)];
}
