/**
 * What many are answered with, held once.
 *
 * @module
 */

/** What a peer that takes nothing has of it is some of these, and not the whole. */
export const PIECE_BYTES = 16_384;

/**
 * `content` piece by piece, each as the peer takes the one before. Of bytes that are given at once
 * Deno makes a copy for every answer, and takes them for answered before any has left.
 */
export function inPieces(content: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array> {
  let start = 0;
  return new ReadableStream({
    pull(controller) {
      const piece = content.subarray(start, start += PIECE_BYTES);
      if (piece.length > 0) controller.enqueue(piece);
      else controller.close();
    },
  }, { highWaterMark: 0 });
}
