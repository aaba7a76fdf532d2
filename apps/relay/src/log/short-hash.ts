/** The first bytes of a SHA-256: what the logs know ids and contents by. */
import { hash } from "node:crypto";

/** As text with a byte a character, since `hash` takes twice as long to make a Buffer. */
export function shortHash(of: string | Buffer, bytes: number): Buffer {
  return Buffer.from(hash("sha256", of, "binary").slice(0, bytes), "latin1");
}
