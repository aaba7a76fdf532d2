import { expect, test, vi } from "vitest";
import { RelayError } from "./errors.ts";
import { createStream, type Sink } from "./stream.ts";
import type { DeliveryInfo, DeliveryKind } from "./types.ts";

interface Event extends DeliveryInfo {
  readonly n: number;
}

function open(bound: number) {
  let sink: Sink<Event> = { event() {}, end() {} };
  const source = {
    ready: Promise.resolve({} as never),
    unsubscribe: vi.fn(() => sink.end()),
    pause: vi.fn(),
    resume: vi.fn(),
  };
  const stream = createStream<Event>((given) => {
    sink = given;
    return source;
  }, bound);
  const send = (n: number, delivery: DeliveryKind = "live"): void =>
    sink.event({ n, delivery, at: 1, late: false });
  return { stream, source, send, end: (error?: RelayError) => sink.end(error) };
}

test("gives what arrives in order, to readers before and after", async () => {
  const { stream, send } = open(10);
  const early = [stream.next(), stream.next()];
  for (const n of [1, 2, 3]) send(n);
  const read = [...(await Promise.all(early)), await stream.next()];
  expect(read.map(({ value }) => value?.n)).toEqual([1, 2, 3]);
});

test("stops taking when full and goes on at half, so that nothing is lost", async () => {
  const { stream, source, send } = open(4);
  for (const n of [1, 2, 3]) send(n);
  expect(source.pause).not.toHaveBeenCalled();
  send(4);
  // what had arrived already
  send(5);
  expect(source.pause).toHaveBeenCalledTimes(1);
  await stream.next();
  await stream.next();
  expect(source.resume).not.toHaveBeenCalled();
  await stream.next();
  expect(source.resume).toHaveBeenCalledTimes(1);
  const rest = [await stream.next(), await stream.next()];
  expect(rest.map(({ value }) => value?.n)).toEqual([4, 5]);
});

test("latest values do not stop it: they have no place to go on from", () => {
  const { source, send } = open(1);
  send(1, "snapshot");
  send(2, "snapshot");
  expect(source.pause).not.toHaveBeenCalled();
  send(3);
  expect(source.pause).toHaveBeenCalledTimes(1);
});

test("`break` unsubscribes, and readers that wait are released", async () => {
  const { stream, source, send } = open(10);
  for (const n of [1, 2, 3]) send(n);
  for await (const { n } of stream) if (n === 2) break;
  expect(source.unsubscribe).toHaveBeenCalledTimes(1);
  expect(await stream.next()).toEqual({ done: true, value: undefined });
  const other = open(10);
  const waiting = other.stream.next();
  await other.stream.return();
  expect(await waiting).toEqual({ done: true, value: undefined });
});

test("an error comes once, after what was there, to whoever reads next", async () => {
  const { stream, send, end } = open(10);
  send(1);
  end(new RelayError("forbidden", "no"));
  expect((await stream.next()).value?.n).toBe(1);
  await expect(stream.next()).rejects.toMatchObject({ code: "forbidden" });
  expect(await stream.next()).toEqual({ done: true, value: undefined });
  const other = open(10);
  const waiting = [other.stream.next(), other.stream.next()];
  other.end(new RelayError("forbidden", "no"));
  await expect(waiting[0]).rejects.toMatchObject({ code: "forbidden" });
  expect(await waiting[1]).toEqual({ done: true, value: undefined });
});
