/**
 * A line: who joins stands last, and whoever stands in it may leave.
 *
 * It is persistent: joining and leaving give a new line, and the old one stays as it was. All versions
 * share one array, of which each sees the part from `start` to `end`. Joining the newest version writes
 * behind what all others see; only joining an older one copies.
 *
 * @module
 */

export interface Line<Place> {
  /** For those in this file alone to write to. */
  readonly places: Place[];
  readonly start: number;
  readonly end: number;
}

/** So many who have left are kept, and as many again as still stand: then the line is made anew. */
const LEFT_MAX = 64;

export function lineOf<Place>(place: Place): Line<Place> {
  return { places: [place], start: 0, end: 1 };
}

export function joined<Place>({ places, start, end }: Line<Place>, place: Place): Line<Place> {
  if (places.length === end) {
    places.push(place);
    return { places, start, end: end + 1 };
  }
  return { places: [...places.slice(start, end), place], start: 0, end: end - start + 1 };
}

/** Without the first `count`. */
export function withoutFirst<Place>(
  { places, start, end }: Line<Place>,
  count: number,
): Line<Place> {
  const first = start + count;
  const standing = end - first;
  return end > LEFT_MAX + 2 * standing
    ? { places: places.slice(first, end), start: 0, end: standing }
    : { places, start: first, end };
}

/** Without those in front who have left, and now and then without all; `standing` are still there. */
export function tidied<Place>(
  { places, start, end }: Line<Place>,
  standing: number,
  hasLeft: (place: Place) => boolean,
): Line<Place> {
  if (end > LEFT_MAX + 2 * standing) {
    const still = places.slice(start, end).filter((place) => !hasLeft(place));
    return { places: still, start: 0, end: still.length };
  }
  let first = start;
  while (first < end && hasLeft(places[first]!)) first++;
  return { places, start: first, end };
}
