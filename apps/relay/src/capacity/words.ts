/** An estimate as a person reads it. */
import type { Estimate, Limit, Load } from "./estimate.ts";

const advice: Record<Limit, string> = {
  redis_accepts:
    "one Redis cannot accept so many events a second: there is one order, so no second one can help",
  redis_messages:
    "one Redis cannot tell so many processes of so many events: divide the clients among relays that each get all webhooks",
  apply:
    "a process spends its time on learning of events, whoever follows them: there is no room for clients",
};

export function words(load: Load, estimate: Estimate): string {
  const { redis } = estimate;
  const rows: (readonly [string, string])[] = [
    [
      "clients",
      `${count(load.clients)}, each following ${count(load.perClient)} of ${count(load.rate)} events a second`,
    ],
    ["deliveries", `${count(load.clients * load.perClient)} a second`],
    [
      "processes",
      `${count(estimate.processes)}, one core each: RELAY_WORKERS on as many machines as you like`,
    ],
    ["  clients each", count(estimate.clientsPerProcess)],
    ["  busy", percent(estimate.busy)],
    ["  memory each", bytes(estimate.memoryBytesPerProcess)],
    ["bandwidth", `${bits(estimate.bandwidthDeflated)} compressed, ${bits(estimate.bandwidthPlain)} plain`],
    [
      "Redis",
      `${count(redis.acceptsPerSecond)} accepts and ${count(redis.messagesPerSecond)} messages a second`,
    ],
    ["  busy", percent(redis.busy)],
    ["  memory", `${bytes(redis.memoryBytes)} for ${load.retentionDays} days of events`],
    ["one process lost", `its clients are back after about ${seconds(estimate.comeBackSeconds)}`],
  ];
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  const lines = rows.map(([name, value]) => `${name.padEnd(width)}${value}`);
  if (estimate.limit !== undefined) lines.push("", `Does not fit: ${advice[estimate.limit]}.`);
  return lines.join("\n");
}

function count(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en-US") : String(Number(value.toPrecision(3)));
}

function percent(share: number): string {
  return `${Math.max(1, Math.round(100 * share))} % of a core`;
}

function scaled(value: number, base: number, units: readonly string[]): string {
  let at = 0;
  let left = value;
  for (; left >= base && at + 1 < units.length; at++) left /= base;
  return `${Number(left.toPrecision(3))} ${units[at]}`;
}

const bytes = (value: number): string => scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
const bits = (value: number): string =>
  scaled(value, 1000, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"]);
const seconds = (value: number): string => (value < 1 ? "a second" : `${Number(value.toPrecision(2))} s`);
