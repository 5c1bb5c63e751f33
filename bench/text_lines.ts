/** Cuts a stream of text into lines. */
export class TextLineStream extends TransformStream<string, string> {
  constructor() {
    // Pieces are joined once per line: a line here can be megabytes long, in pieces of 64 KB.
    let pieces: string[] = [];
    super({
      transform(chunk, controller) {
        const parts = chunk.split("\n");
        const last = parts.pop()!;
        for (const part of parts) {
          pieces.push(part);
          controller.enqueue(pieces.join(""));
          pieces = [];
        }
        pieces.push(last);
      },
      flush(controller) {
        const rest = pieces.join("");
        if (rest !== "") controller.enqueue(rest);
      },
    });
  }
}
