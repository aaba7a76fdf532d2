/**
 * How clients leave a node that is about to stop: each is told a time of its own, and goes on receiving until it
 * leaves. The times are spread, so that the nodes they go to never have many handshakes waiting.
 */
import type { Hub, Member } from "../fanout/hub.ts";

/** All in milliseconds. */
const drainTimes = {
  /**
   * A handshake costs another node one to three milliseconds of CPU, which may have just started, and live delivery
   * there goes on meanwhile: at 5 ms a client, handshakes queued for seconds.
   */
  perClient: 10,
  /** Over how long clients are spread, at least and at most. */
  least: 200,
  most: 7_000,
  /** Whoever has not left this long after its time is closed; and cut off after that once more. */
  grace: 500,
};

const lookEveryMs = 20;

/** A delay for each of `count` clients, in milliseconds and ascending: evenly spread, each at random in its slot. */
function leavingTimes(count: number, random: () => number = Math.random): number[] {
  const { perClient, least, most } = drainTimes;
  const slot = Math.min(most, Math.max(least, count * perClient)) / count;
  return Array.from({ length: count }, (_, index) => Math.round((index + random()) * slot));
}

/** Resolves when nobody is connected any more, at once if nobody is; after about eight seconds at the latest. */
export function drainClients(hub: Pick<Hub, "connections">): Promise<void> {
  const begun = performance.now();
  /** When each was asked to leave, in milliseconds after the beginning. */
  const leaves = new Map<Member, number>();
  const ended = new Set<Member>();
  /** Also whoever was let in before the doors closed, and comes only now. */
  const tell = (now: number): void => {
    const strangers = [...hub.connections].filter((member) => !leaves.has(member));
    for (const [index, delay] of leavingTimes(strangers.length).entries()) {
      const member = strangers[index];
      if (member === undefined) continue;
      leaves.set(member, now + delay);
      member.sink.notice("relay.draining", { reconnect_after_ms: delay });
    }
  };
  const close = (now: number): void => {
    for (const member of hub.connections) {
      const late = now - (leaves.get(member) ?? now) - drainTimes.grace;
      if (late >= drainTimes.grace) member.sink.cut();
      else if (late >= 0 && !ended.has(member)) {
        ended.add(member);
        member.sink.end();
      }
    }
  };
  const latest = drainTimes.most + 2 * drainTimes.grace + 5 * lookEveryMs;
  return new Promise((resolve) => {
    const look = (): void => {
      const now = performance.now() - begun;
      if (now < latest) tell(now);
      close(now);
      if (hub.connections.size > 0 && now < latest) return;
      clearInterval(timer);
      resolve();
    };
    const timer = setInterval(look, lookEveryMs);
    look();
  });
}
