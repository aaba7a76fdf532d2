/**
 * - `invalid_option`: an option of the library has a value that it cannot have
 * - `usage`: the command line is wrong
 * - `no_secret`: the webhook secret is missing or cannot be read
 */
export type SimulatorErrorCode = "invalid_option" | "usage" | "no_secret";

/** What went wrong by the user's hand; the message says what was expected. */
export class SimulatorError extends Error {
  readonly code: SimulatorErrorCode;

  constructor(code: SimulatorErrorCode, message: string) {
    super(message);
    this.name = "SimulatorError";
    this.code = code;
  }
}
