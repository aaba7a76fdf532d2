/** Logs in another process, used from this one. What they leave goes with the test that made them. */
import { type ChildProcess, fork } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { contractSettings, type LogHarness } from "./contract.test-harness.ts";
import type { LogSettings } from "./event-log.ts";
import type { FromHost, Order, ToHost } from "./shared-log.test-process.ts";
import { SharedLog } from "./shared-log.ts";

const script = fileURLToPath(new URL("./shared-log.test-process.ts", import.meta.url));

export class HostProcess {
  readonly child: ChildProcess;
  readonly #users = new Map<number, SharedLog>();
  readonly #orders = new Map<number, (problem: string | undefined) => void>();
  #names = 0;

  constructor() {
    this.child = fork(script, {
      execArgv: ["--conditions=sharmo-source", "--import", "tsx"],
      serialization: "advanced",
    });
    this.child.on("message", (message) => {
      const told = message as FromHost;
      if (told.kind === "said") this.#users.get(told.user)?.hear(told.said);
      else this.#orders.get(told.id)?.(told.problem);
    });
  }

  name(): number {
    return ++this.#names;
  }

  tell(message: ToHost): void {
    this.child.send(message);
  }

  order(order: Order): Promise<void> {
    const id = this.name();
    const done = new Promise<void>((resolve, reject) => {
      this.#orders.set(id, (problem) => (problem === undefined ? resolve() : reject(new Error(problem))));
    });
    this.tell({ kind: "order", id, order });
    return done;
  }

  async use(store: number, commandTimeoutMs: number): Promise<SharedLog> {
    const user = this.name();
    const log = new SharedLog({
      commandTimeoutMs,
      send: (calls) => this.tell({ kind: "calls", user, calls }),
    });
    this.#users.set(user, log);
    await this.order({ kind: "use", store, user });
    return log;
  }
}

export function sharedHarness(host: () => HostProcess): LogHarness {
  return {
    shared: true,
    create: async (settings) => {
      const process = host();
      const dir = await mkdtemp(join(tmpdir(), "sharmo-log-"));
      const store = process.name();
      const logs: SharedLog[] = [];
      const open = async (changed?: Partial<LogSettings>): Promise<SharedLog> => {
        await process.order({ kind: "open", store, dir, settings: { ...contractSettings, ...changed } });
        return use();
      };
      const use = async (): Promise<SharedLog> => {
        const log = await process.use(store, contractSettings.commandTimeoutMs);
        logs.push(log);
        return log;
      };
      const close = async (): Promise<void> => {
        await Promise.all(logs.splice(0).map((log) => log.close()));
        await process.order({ kind: "close", store });
      };
      const log = await open(settings);
      return {
        log,
        reopen: async (changed) => {
          await close();
          return open(changed);
        },
        second: use,
        advance: (ms) => process.tell({ kind: "advance", store, ms }),
        dispose: async () => {
          await close();
          await rm(dir, { recursive: true, force: true });
        },
      };
    },
  };
}
