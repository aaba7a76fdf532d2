/**
 * The workers of one relay, as states and events, without processes and timers.
 *
 *     a place    resting ──rested──▶ starting ──started──▶ serving
 *                   ▲                   └──────exited─────────┤  after 100 ms, doubled with each death of a minute
 *                   └─────────────────── leaving ─────────────┘  its worker ends by itself; another takes the place
 *
 *     the fleet  starting ──all serve──▶ serving ──stop, or too many deaths──▶ stopping ──all exited──▶ ended
 *                   └──one refuses, or dies──▶ ended, with code 1
 */

type Place =
  | { readonly state: "resting" }
  | { readonly state: "starting"; readonly worker: number }
  | { readonly state: "serving"; readonly worker: number };

export interface Outcome {
  readonly code: 0 | 1;
  /** For the person who reads why it ended. */
  readonly message?: string;
}

type Phase =
  | { readonly state: "starting" }
  | { readonly state: "serving" }
  | { readonly state: "stopping"; readonly outcome: Outcome }
  | { readonly state: "ended" };

export interface Fleet {
  readonly phase: Phase;
  readonly places: readonly Place[];
  /** Workers that were told by others to end, and still run. */
  readonly leaving: readonly number[];
  /** Of the last minute. */
  readonly deaths: readonly { readonly place: number; readonly at: number }[];
  /** Workers forked so far; each has a number of its own. */
  readonly forked: number;
}

export type FleetEvent =
  | { readonly kind: "begin" }
  /** It listens. */
  | { readonly kind: "started"; readonly worker: number; readonly port: number }
  /** It cannot start, and ends. */
  | { readonly kind: "refused"; readonly worker: number; readonly message: string }
  /** It was told to end by somebody else, and drains. */
  | { readonly kind: "leaving"; readonly worker: number }
  /** `how` says why, for a person; `clean`: by itself, with code 0. */
  | { readonly kind: "exited"; readonly worker: number; readonly how: string; readonly clean: boolean }
  | { readonly kind: "rested"; readonly place: number }
  | { readonly kind: "stop" }
  /** Workers have taken too long to drain. */
  | { readonly kind: "late" };

export type Action =
  | { readonly do: "fork"; readonly worker: number; readonly place: number }
  | { readonly do: "rest"; readonly place: number; readonly ms: number }
  /** All serve for the first time. */
  | { readonly do: "announce"; readonly port: number }
  | { readonly do: "warn"; readonly place: number; readonly message: string }
  | { readonly do: "drain"; readonly workers: readonly number[] }
  | { readonly do: "kill"; readonly workers: readonly number[] }
  | { readonly do: "end"; readonly outcome: Outcome };

export interface Step {
  readonly fleet: Fleet;
  readonly actions: readonly Action[];
}

/** In milliseconds. */
const rest = { first: 100, most: 5_000 };
const deathsCountMs = 60_000;
/** Deaths within a minute, for each place, after which something is wrong that no new worker mends. */
const deathsPerPlace = 5;

export function fleetOf(places: number): Fleet {
  return {
    phase: { state: "starting" },
    places: Array.from({ length: places }, () => ({ state: "resting" })),
    leaving: [],
    deaths: [],
    forked: 0,
  };
}

/** `now` in milliseconds of any steady clock; `random` from 0 to 1. */
export function step(fleet: Fleet, event: FleetEvent, now: number, random: number): Step {
  if (fleet.phase.state === "ended") return { fleet, actions: [] };
  switch (event.kind) {
    case "begin":
      return fleet.places.reduce<Step>(
        (so, _, place) => {
          const { fleet: next, actions } = forkInto(so.fleet, place);
          return { fleet: next, actions: [...so.actions, ...actions] };
        },
        { fleet, actions: [] },
      );
    case "started":
      return started(fleet, event);
    case "refused":
      return refused(fleet, event);
    case "leaving":
      return leaving(fleet, event.worker, random);
    case "exited":
      return exited(fleet, event, now, random);
    case "rested": {
      const free = fleet.phase.state !== "stopping" && fleet.places[event.place]?.state === "resting";
      return free ? forkInto(fleet, event.place) : { fleet, actions: [] };
    }
    case "stop":
      return fleet.phase.state === "stopping" ? { fleet, actions: [] } : stopping(fleet, { code: 0 });
    case "late":
      return end(fleet, { code: 1, message: "some workers did not end in time and were killed" });
  }
}

function forkInto(fleet: Fleet, place: number): Step {
  const worker = fleet.forked + 1;
  return {
    fleet: { ...put(fleet, place, { state: "starting", worker }), forked: worker },
    actions: [{ do: "fork", worker, place }],
  };
}

function started(fleet: Fleet, { worker, port }: Extract<FleetEvent, { kind: "started" }>): Step {
  const place = placeOf(fleet, worker);
  if (place < 0) return { fleet, actions: [] };
  const next = put(fleet, place, { state: "serving", worker });
  const all = next.places.every(({ state }) => state === "serving");
  if (fleet.phase.state !== "starting" || !all) return { fleet: next, actions: [] };
  return { fleet: { ...next, phase: { state: "serving" } }, actions: [{ do: "announce", port }] };
}

function refused(fleet: Fleet, { worker, message }: Extract<FleetEvent, { kind: "refused" }>): Step {
  // one that takes a dead worker's place may be refused for what passes: its end counts as a death
  if (fleet.phase.state === "starting") return end(fleet, { code: 1, message });
  return { fleet, actions: [{ do: "warn", place: placeOf(fleet, worker), message }] };
}

function leaving(fleet: Fleet, worker: number, random: number): Step {
  const place = placeOf(fleet, worker);
  if (place < 0) return { fleet, actions: [] };
  const next = { ...put(fleet, place, { state: "resting" }), leaving: [...fleet.leaving, worker] };
  if (fleet.phase.state === "stopping") return { fleet: next, actions: [] };
  // not at once: whoever sends a signal to one may be sending it to all
  return { fleet: next, actions: [{ do: "rest", place, ms: restMs(0, random) }] };
}

function exited(
  fleet: Fleet,
  { worker, how, clean }: Extract<FleetEvent, { kind: "exited" }>,
  now: number,
  random: number,
): Step {
  const place = placeOf(fleet, worker);
  const serving = fleet.places[place]?.state === "serving" || fleet.leaving.includes(worker);
  const without = place < 0 ? fleet : put(fleet, place, { state: "resting" });
  const next = { ...without, leaving: fleet.leaving.filter((one) => one !== worker) };
  switch (fleet.phase.state) {
    case "stopping": {
      const asked = clean || !serving || fleet.phase.outcome.code === 1;
      const outcome: Outcome = asked
        ? fleet.phase.outcome
        : { code: 1, message: `a worker ended with ${how} before it had drained` };
      if (alive(next).length === 0) return end(next, outcome);
      return { fleet: { ...next, phase: { state: "stopping", outcome } }, actions: [] };
    }
    case "starting":
      return end(next, { code: 1, message: `a worker ended with ${how} before all served` });
    default:
      return place < 0 ? { fleet: next, actions: [] } : died(next, place, how, now, random);
  }
}

function died(fleet: Fleet, place: number, how: string, now: number, random: number): Step {
  const deaths = [...fleet.deaths.filter(({ at }) => now - at < deathsCountMs), { place, at: now }];
  const next = { ...fleet, deaths };
  if (deaths.length > deathsPerPlace * fleet.places.length) {
    const message = `workers keep ending: ${deaths.length} within a minute, the last with ${how}; the relay ends`;
    return stopping(next, { code: 1, message });
  }
  const ms = restMs(deaths.filter((death) => death.place === place).length - 1, random);
  return {
    fleet: next,
    actions: [
      { do: "warn", place, message: `the worker ended with ${how}; another takes its place` },
      { do: "rest", place, ms },
    ],
  };
}

/** Between half and all of the time. */
function restMs(doubled: number, random: number): number {
  return Math.min(rest.most, rest.first * 2 ** doubled) * (0.5 + random / 2);
}

/** Those that do not serve yet have nobody to drain. */
function stopping(fleet: Fleet, outcome: Outcome): Step {
  const unborn = fleet.places.flatMap((place) => (place.state === "starting" ? [place.worker] : []));
  const workers = alive(fleet).filter((worker) => !unborn.includes(worker));
  if (unborn.length + workers.length === 0) return end(fleet, outcome);
  return {
    fleet: { ...fleet, phase: { state: "stopping", outcome } },
    actions: [
      { do: "drain", workers },
      { do: "kill", workers: unborn },
    ],
  };
}

function end(fleet: Fleet, outcome: Outcome): Step {
  const workers = alive(fleet);
  return {
    fleet: { ...fleet, phase: { state: "ended" } },
    actions: [...(workers.length === 0 ? [] : [{ do: "kill" as const, workers }]), { do: "end", outcome }],
  };
}

function alive({ places, leaving: others }: Fleet): number[] {
  return [...places.flatMap((place) => (place.state === "resting" ? [] : [place.worker])), ...others];
}

function placeOf({ places }: Fleet, worker: number): number {
  return places.findIndex((place) => place.state !== "resting" && place.worker === worker);
}

function put(fleet: Fleet, place: number, now: Place): Fleet {
  return { ...fleet, places: fleet.places.map((before, index) => (index === place ? now : before)) };
}
