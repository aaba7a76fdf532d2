/** Where one client's frames go. What is written first arrives first, whatever its kind. */
import type { Socket } from "node:net";
import type { RelayNotices } from "@sharmo-relay/protocol";
import type { Frame } from "./frames.ts";

export interface Sink {
  /** Bytes that are to be written, or were and the operating system has not taken. */
  buffered(): number;
  /** Calls once, soon after something was taken, or after a second at the latest. */
  whenDrained(call: () => void): void;
  /** May wait a moment for those that follow. */
  live(frame: Frame): void;
  /** Copies for one subscription. */
  page(frames: readonly Frame[]): void;
  /** What `work` writes goes out in one write. */
  together(work: () => void): void;
  notice<N extends keyof RelayNotices>(name: N, notice: RelayNotices[N]): void;
  progress(): Progress;
  /** Closes the transport after what was written; a client comes back by itself. */
  end(): void;
  /** Closes it now; what was not taken is thrown away. */
  cut(): void;
}

/** Both figures stand still only while the operating system takes nothing. */
export interface Progress {
  /** Bytes of all writes that were taken to their end. */
  readonly taken: number;
  /** Bytes left of the write under way. */
  readonly left: number;
}

/**
 * Of a TCP socket. What Node holds back and what it has handed on both count as written; only the handle, which Node
 * keeps to itself, knows how much of a large write has gone out already.
 */
export function progressOf(socket: Socket): Progress {
  const handle: unknown = "_handle" in socket ? socket._handle : undefined;
  const left =
    typeof handle === "object" && handle !== null && "writeQueueSize" in handle ? handle.writeQueueSize : 0;
  return {
    taken: socket.bytesWritten - socket.writableLength,
    left: typeof left === "number" ? left : 0,
  };
}

/** Longest wait for a sign of draining before the sink is looked at again, in milliseconds. */
const lookAgainMs = 1_000;

interface Draining {
  on(event: "drain", listener: () => void): unknown;
  off(event: "drain", listener: () => void): unknown;
}

/** Calls once, at the next "drain" of what a sink writes to, or when it is time to look again. */
export function onceDrained(source: Draining, call: () => void): void {
  const done = (): void => {
    clearTimeout(timer);
    source.off("drain", done);
    call();
  };
  const timer = setTimeout(done, lookAgainMs);
  source.on("drain", done);
}
