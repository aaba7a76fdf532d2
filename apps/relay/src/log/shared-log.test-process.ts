/**
 * A process that holds embedded logs, for tests that use them from another: forked with a channel, it opens, serves
 * and closes what it is told to.
 */
import { type EmbeddedLog, openEmbeddedLog } from "./embedded-log.ts";
import { LogError, type LogSettings } from "./event-log.ts";
import { SharedLogHost } from "./shared-log-host.ts";
import type { Call, Said } from "./shared-log-messages.ts";

export type ToHost =
  | { readonly kind: "order"; readonly id: number; readonly order: Order }
  | { readonly kind: "advance"; readonly store: number; readonly ms: number }
  | { readonly kind: "calls"; readonly user: number; readonly calls: readonly Call[] };

export type Order =
  | { readonly kind: "open"; readonly store: number; readonly dir: string; readonly settings: LogSettings }
  | { readonly kind: "close"; readonly store: number }
  | { readonly kind: "use"; readonly store: number; readonly user: number };

export type FromHost =
  /** `problem` if it could not be done. */
  | { readonly kind: "done"; readonly id: number; readonly problem?: string }
  | { readonly kind: "said"; readonly user: number; readonly said: readonly Said[] };

interface Store {
  log: EmbeddedLog;
  now: number;
}

const stores = new Map<number, Store>();
const hosts = new Map<number, SharedLogHost>();

function tell(message: FromHost, written?: () => void): void {
  process.send?.(message, undefined, undefined, () => written?.());
}

async function open({ store, dir, settings }: Extract<Order, { kind: "open" }>): Promise<void> {
  const clock = { now: stores.get(store)?.now ?? Date.now() };
  const log = await openEmbeddedLog({ dir, settings, clock: () => stores.get(store)?.now ?? clock.now });
  stores.set(store, { log, now: clock.now });
}

async function obey(order: Order): Promise<void> {
  switch (order.kind) {
    case "open":
      return open(order);
    case "close":
      return stores.get(order.store)?.log.close();
    case "use": {
      const { user } = order;
      const log = stores.get(order.store)?.log;
      if (log === undefined) throw new Error("no such store");
      hosts.set(user, new SharedLogHost(log, (said, written) => tell({ kind: "said", user, said }, written)));
    }
  }
}

process.on("message", (message: ToHost) => {
  if (message.kind === "calls") hosts.get(message.user)?.hear(message.calls);
  else if (message.kind === "advance") {
    const store = stores.get(message.store);
    if (store !== undefined) store.now += message.ms;
  } else {
    const { id } = message;
    obey(message.order).then(
      () => tell({ kind: "done", id }),
      (error: unknown) =>
        tell({ kind: "done", id, problem: error instanceof LogError ? error.message : String(error) }),
    );
  }
});
process.on("disconnect", () => process.exit(0));
