/** A subscription as an async iterator, with a bounded buffer. */
import type { RelayError } from "./errors.ts";
import type { DeliveryInfo, EventStream, Ready } from "./types.ts";

/** The subscription that feeds a stream. */
export interface Source {
  readonly ready: Promise<Ready>;
  unsubscribe(): void;
  pause(): void;
  resume(): void;
}

export interface Sink<E> {
  event(event: E): void;
  /** Nothing comes after what was given; with an error `next` rejects. */
  end(error?: RelayError): void;
}

export const defaultBuffer = 1_000;

/** `subscribe` begins at once; pauses at `bound` waiting events and resumes at half of it. */
export function createStream<E extends DeliveryInfo>(
  subscribe: (sink: Sink<E>) => Source,
  bound: number,
): EventStream<E> {
  let waiting: E[] = [];
  let paused = false;
  let ended = false;
  let failure: RelayError | undefined;
  let wake = (): void => {};

  const source = subscribe({
    event(event) {
      waiting.push(event);
      wake();
      // latest values have no cursor to go on from
      if (paused || waiting.length < bound || event.delivery === "snapshot") return;
      paused = true;
      source.pause();
    },
    end(error) {
      ended = true;
      failure = error;
      wake();
    },
  });

  const events = (async function* (): AsyncGenerator<E, undefined> {
    for (;;) {
      const event = waiting.shift();
      if (event !== undefined) {
        if (paused && waiting.length <= bound / 2) {
          paused = false;
          source.resume();
        }
        yield event;
      } else if (!ended) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      } else if (failure === undefined) return undefined;
      else throw failure;
    }
  })();

  return {
    ready: source.ready,
    next: () => events.next(),
    return() {
      waiting = [];
      source.unsubscribe();
      return events.return(undefined);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
