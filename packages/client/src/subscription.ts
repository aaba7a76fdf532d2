/** One handler: each event once, in order, whatever arrives; gaps and errors to whom they concern. */
import type { EventMeta, Gap, SharmoEvent } from "@sharmo-relay/protocol";
import { RelayError } from "./errors.ts";
import type { DeliveryInfo, DeliveryKind, GapInfo, Ready, SubscribeOptions } from "./types.ts";

/** Event ids remembered per handler: an event can come again after a failover, with another cursor. */
export const rememberedIds = 4_096;

/**
 * Tells whether an event is new: not among the last ids, nor, in the same epoch, at or before the cursor that the
 * handler began with (which another tab or a server may have seen before this connection gets there).
 */
export function createOnce(since = ""): (id: string, cursor?: string) => boolean {
  const ids = new Set<string>();
  const epoch = since.slice(0, since.indexOf("-") + 1);
  return (id, cursor = "") => {
    // of two numbers without leading zeros the longer one is the larger
    const isBefore = cursor.length === since.length ? cursor <= since : cursor.length < since.length;
    if (ids.has(id) || (isBefore && cursor.startsWith(epoch) && epoch)) return false;
    ids.add(id);
    for (const oldest of ids) {
      if (ids.size <= rememberedIds) break;
      ids.delete(oldest);
    }
    return true;
  };
}

/** What a handler is given. */
export type Item =
  | { readonly event: SharmoEvent; readonly meta: EventMeta; readonly delivery: DeliveryKind }
  | { readonly gap: Omit<Gap, "subscription"> };

/** Any event as a handler gets it. */
type AnyDelivered = SharmoEvent & DeliveryInfo;
export type AnyHandler = (event: AnyDelivered) => unknown;

/** Takes what the feed gives. */
export interface Receiver {
  give(item: Item): void;
  started(ready: Ready): void;
  /** The relay will not have the subscription; nothing comes after it. */
  fail(error: RelayError): void;
}

export interface HandlerReceiver extends Receiver {
  readonly ready: Promise<Ready>;
  /** `ready` rejects if it has not resolved; an error of the relay's is told. */
  end(error?: RelayError): void;
}

/** `control.fail` ends the subscription; `control.resync` starts it anew with the latest values. */
export function createReceiver(
  handler: AnyHandler,
  { since, onGap, onError }: Pick<SubscribeOptions, "since" | "onGap" | "onError">,
  control: Pick<Receiver, "fail"> & { resync(): void },
): HandlerReceiver {
  let isNew = createOnce(since);
  let awaited = false;
  let settle: [resolve: (ready: Ready) => void, reject: (error: RelayError) => void];
  const ready = new Promise<Ready>((...both) => {
    settle = both;
  });
  // whoever does not ask for it need not handle its rejection
  ready.catch(() => {});

  const tell = (error: RelayError): void => {
    if (onError !== undefined) guarded(() => onError(error));
    else report(error.cause ?? error);
  };
  const handlerFailed = (cause: unknown): void =>
    tell(new RelayError("handler_failed", "a handler failed", { cause }));

  return {
    get ready() {
      awaited = true;
      return ready;
    },
    give(item) {
      if ("gap" in item) {
        const gap: GapInfo = {
          ...item.gap,
          resync() {
            isNew = createOnce();
            control.resync();
          },
        };
        if (onGap !== undefined) guarded(() => onGap(gap), handlerFailed);
        else tell(new RelayError("gap", `events of ${gap.topics} are missing: ${gap.reason}`));
        return;
      }
      const { event, meta, delivery } = item;
      const { cursor, at, late = false } = meta;
      // a redelivery is a repeat that was asked for
      if (delivery !== "redelivery" && !isNew(event.id, cursor)) return;
      guarded(() => handler({ ...event, delivery, at, late, ...(cursor && { cursor }) }), handlerFailed);
    },
    started: (value) => settle[0](value),
    fail: control.fail,
    end(error) {
      if (error !== undefined && (onError !== undefined || !awaited)) tell(error);
      settle[1](error ?? new RelayError("closed", "the subscription is closed"));
    },
  };
}

/** A call into the user's code: whatever it throws, now or as a promise, goes to `onThrow`. */
export function guarded(call: () => unknown, onThrow: (cause: unknown) => void = report): void {
  try {
    const result = call();
    if (result instanceof Promise) result.catch(onThrow);
  } catch (cause) {
    onThrow(cause);
  }
}

/** For errors that nobody asked to hear: never lost, and never in the way of another handler. */
function report(error: unknown): void {
  if (typeof reportError === "function") reportError(error);
  // biome-ignore lint/suspicious/noConsole: Node has no other place for it
  else console.error(error);
}
