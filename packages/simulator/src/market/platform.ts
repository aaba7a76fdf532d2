/** What the platform announces. The vendor documents no field of these, so a receiver can rely on none. */
import type { Random } from "../random.ts";
import type { Activity, Story } from "./story.ts";

const hour = 3_600_000;

const features = [
  "Recurring purchases",
  "Dividend calendar",
  "Portfolio export (CSV)",
  "Dark mode",
  "Price alerts",
  "Español, français and 日本語",
] as const;

const works = ["Database upgrade", "Blockchain node upgrade", "Payment provider maintenance"] as const;

export function platformActivities(random: Random, now: () => string): Activity[] {
  return [
    { weight: () => 0.4, begin: () => announceMaintenance(random, now) },
    { weight: () => 0.4, begin: () => announceFeature(random) },
  ];
}

function* announceMaintenance(random: Random, now: () => string): Story {
  const starts = Math.ceil(Date.parse(now()) / hour) * hour + random.integer(12, 96) * hour;
  yield {
    type: "platform.maintenance_scheduled",
    data: {
      title: random.pick(works),
      starts_at: new Date(starts).toISOString(),
      ends_at: new Date(starts + random.integer(1, 4) * hour).toISOString(),
    },
  };
}

function* announceFeature(random: Random): Story {
  yield { type: "platform.feature_launched", data: { title: random.pick(features) } };
}
