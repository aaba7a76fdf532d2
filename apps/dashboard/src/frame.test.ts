import { expect, it } from "vitest";
import { type FrameHost, perFrame } from "./frame.ts";

function fakeHost() {
  const state = { hidden: false };
  const frames: (() => void)[] = [];
  const tasks: (() => void)[] = [];
  const listeners: (() => void)[] = [];
  const host: FrameHost = {
    hidden: () => state.hidden,
    requestFrame: (run) => frames.push(run),
    requestTask: (run) => tasks.push(run),
    onVisibility: (listener) => listeners.push(listener),
  };
  const runAll = (queue: (() => void)[]): void => {
    for (const run of queue.splice(0)) run();
  };
  return {
    host,
    frame: () => runAll(frames),
    task: () => runAll(tasks),
    hide: () => {
      state.hidden = true;
      for (const listener of listeners) listener();
    },
    waiting: () => frames.length + tasks.length,
  };
}

it("runs once for all that asked within a frame, and again for the next", () => {
  const page = fakeHost();
  let runs = 0;
  const ask = perFrame(() => runs++, page.host);
  for (let n = 0; n < 500; n++) ask();
  expect(runs).toBe(0);
  expect(page.waiting()).toBe(1);
  page.frame();
  expect(runs).toBe(1);
  ask();
  page.frame();
  expect(runs).toBe(2);
});

it("runs as a task while the page is hidden", () => {
  const page = fakeHost();
  let runs = 0;
  const ask = perFrame(() => runs++, page.host);
  page.hide();
  ask();
  page.task();
  expect(runs).toBe(1);
});

it("does not wait for a frame that the hidden page will not have, and does not run twice when it comes", () => {
  const page = fakeHost();
  let runs = 0;
  const ask = perFrame(() => runs++, page.host);
  ask();
  page.hide();
  page.task();
  expect(runs).toBe(1);
  page.frame();
  expect(runs).toBe(1);
});

it("can be asked from within the step", () => {
  const page = fakeHost();
  let runs = 0;
  const ask: () => void = perFrame(() => {
    runs++;
    if (runs === 1) ask();
  }, page.host);
  ask();
  page.frame();
  page.frame();
  expect(runs).toBe(2);
});
