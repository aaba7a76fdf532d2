/**
 * The primary process: forks workers, hands them the connections of the port in turn, replaces those that die, and
 * drains all when it is told to stop. With the embedded log it holds the log for all of them. It answers no request.
 */
import cluster, { type Worker } from "node:cluster";
import type { EventLog } from "../log/event-log.ts";
import { SharedLogHost } from "../log/shared-log-host.ts";
import type { Logger } from "../observe/logger.ts";
import { type Action, type Fleet, type FleetEvent, fleetOf, type Outcome, step } from "./fleet.ts";
import { type FromWorker, placeVariable, type ToWorker } from "./messages.ts";
import { Scrapes } from "./scrapes.ts";

export interface PrimaryOptions {
  readonly workers: number;
  /** The embedded log, held for all workers; undefined: each opens its own. */
  readonly log: EventLog | undefined;
  readonly logger: Logger;
  /** All workers serve. */
  readonly announce: (port: number) => void;
}

/** A worker needs about eight seconds for thousands of clients, nine at most; whoever ends the process waits for ten. */
const drainLimitMs = 9_500;

interface Running {
  readonly worker: Worker;
  readonly host: SharedLogHost | undefined;
  /** Before that it does not hear what it is told. */
  started: boolean;
}

/** Resolves when all workers have ended. */
export function runWorkers(options: PrimaryOptions): Promise<Outcome> {
  return new Promise((resolve) => new Workers(options, resolve));
}

class Workers {
  readonly #options: PrimaryOptions;
  readonly #ended: (outcome: Outcome) => void;
  readonly #running = new Map<number, Running>();
  readonly #scrapes = new Scrapes();
  #fleet: Fleet;
  #late: NodeJS.Timeout | undefined;

  constructor(options: PrimaryOptions, ended: (outcome: Outcome) => void) {
    this.#options = options;
    this.#ended = ended;
    this.#fleet = fleetOf(options.workers);
    cluster.schedulingPolicy = cluster.SCHED_RR;
    cluster.setupPrimary({ serialization: "advanced" });
    let signalled = false;
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.on(signal, () => {
        // the second one means now
        if (signalled) this.#killAll();
        signalled = true;
        this.#take({ kind: "stop" });
      });
    }
    this.#take({ kind: "begin" });
  }

  #take(event: FleetEvent): void {
    const { fleet, actions } = step(this.#fleet, event, performance.now(), Math.random());
    this.#fleet = fleet;
    for (const action of actions) this.#do(action);
  }

  #do(action: Action): void {
    switch (action.do) {
      case "fork":
        return this.#fork(action.worker, action.place);
      case "rest":
        setTimeout(() => this.#take({ kind: "rested", place: action.place }), action.ms);
        return;
      case "announce":
        return this.#options.announce(action.port);
      case "warn":
        return this.#options.logger.warn({ worker: action.place + 1 }, action.message);
      case "drain":
        for (const number of action.workers) this.#tell(number, { kind: "drain" });
        this.#late = setTimeout(() => this.#take({ kind: "late" }), drainLimitMs);
        return;
      case "kill":
        return this.#kill(action.workers);
      case "end":
        clearTimeout(this.#late);
        return this.#ended(action.outcome);
    }
  }

  #fork(number: number, place: number): void {
    const { log, workers } = this.#options;
    if (number > workers) this.#scrapes.replaced();
    const worker = cluster.fork({ [placeVariable]: String(place + 1) });
    const host =
      log === undefined
        ? undefined
        : new SharedLogHost(log, (said, written) => this.#tell(number, { kind: "said", said }, written));
    this.#running.set(number, { worker, host, started: false });
    worker.on("message", (message) => this.#hear(number, message as FromWorker));
    worker.once("exit", (code: number | null, signal: string | null) => {
      this.#gone(number, signal ?? `code ${code}`, code === 0);
    });
    worker.on("error", (error) => {
      // of a process that could not even be made there is no exit
      if (worker.process.pid === undefined) this.#gone(number, error.message, false);
    });
  }

  #gone(number: number, how: string, clean: boolean): void {
    const running = this.#running.get(number);
    if (running === undefined) return;
    this.#running.delete(number);
    this.#scrapes.gone(number);
    running.host?.close().catch((error: unknown) => {
      this.#options.logger.warn({ err: error }, "a worker's way to the log could not be closed");
    });
    this.#take({ kind: "exited", worker: number, how, clean });
  }

  #hear(number: number, message: FromWorker): void {
    switch (message.kind) {
      case "started": {
        const running = this.#running.get(number);
        if (running !== undefined) running.started = true;
        return this.#take({ kind: "started", worker: number, port: message.port });
      }
      case "refused":
        return this.#take({ kind: "refused", worker: number, message: message.message });
      case "leaving":
        return this.#take({ kind: "leaving", worker: number });
      case "figures":
        return this.#scrapes.counted(number, message.figures, message.scrape);
      case "scrape":
        void this.#scrape(number, message.id);
        return;
      case "calls":
        this.#running.get(number)?.host?.hear(message.calls);
        return;
    }
  }

  async #scrape(number: number, id: number): Promise<void> {
    try {
      const started = [...this.#running].flatMap(([one, running]) => (running.started ? [one] : []));
      const rendered = await this.#scrapes.render(started, (one, scrape) =>
        this.#tell(one, { kind: "count", scrape }),
      );
      this.#tell(number, { kind: "counted", id, ...rendered });
    } catch (error) {
      this.#options.logger.error({ err: error }, "the figures of the workers could not be added up");
    }
  }

  /** To one that is gone it goes nowhere; its end is heard of otherwise. */
  #tell(number: number, message: ToWorker, written?: () => void): void {
    this.#running.get(number)?.worker.send(message, undefined, undefined, () => written?.());
  }

  #kill(numbers: Iterable<number>): void {
    for (const number of numbers) this.#running.get(number)?.worker.process.kill("SIGKILL");
  }

  #killAll(): void {
    this.#kill(this.#running.keys());
    process.exit(1);
  }
}
