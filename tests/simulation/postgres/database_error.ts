/** An error of the server, or of the way to it, as the driver would give it. */
export class DatabaseError extends Error {
  override readonly name = "DatabaseError";
  readonly code: string;
  readonly severity: "ERROR" | "FATAL" | "PANIC";

  constructor(code: string, message: string, severity: DatabaseError["severity"] = "ERROR") {
    super(message);
    this.code = code;
    this.severity = severity;
  }
}
