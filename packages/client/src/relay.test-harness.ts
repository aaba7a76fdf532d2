/** A scripted server and relays for each test, closed after it. */
import { afterEach, beforeEach, vi } from "vitest";
import { defaultTiming, type Timing } from "./connection-state.ts";
import { ScriptedServer, token } from "./relay.test-server.ts";
import { assembleRelay } from "./relay.ts";
import type { Relay, TokenProvider } from "./types.ts";

/** The server of the running test. */
export const server: { current: ScriptedServer } = { current: new ScriptedServer() };
const relays: Relay[] = [];

beforeEach(async () => {
  server.current = new ScriptedServer();
  await server.current.start();
});

afterEach(async () => {
  for (const relay of relays.splice(0)) relay.close();
  await server.current.stop();
  vi.restoreAllMocks();
});

export function connect(
  provider: TokenProvider = () => token(60),
  timing: Partial<Timing> = {},
  path = "",
): Relay {
  const relay = assembleRelay(
    { url: server.current.url + path, token: provider },
    { ...defaultTiming, tick: 20, ...timing },
  );
  relays.push(relay);
  return relay;
}

export const eventually = (check: () => void): Promise<void> =>
  vi.waitFor(check, { timeout: 5_000, interval: 5 });

/** A handler and everything it got, as `id delivery`. */
export function record(): { got: string[]; handler: (e: { id: string; delivery: string }) => void } {
  const got: string[] = [];
  return { got, handler: (e) => void got.push(`${e.id} ${e.delivery}`) };
}
