/** Users, from their registration through KYC. A verified user's wallet joins the market. */
import type { EventData } from "@sharmo-relay/protocol";
import type { Random } from "../random.ts";
import type { Activity, Story } from "./story.ts";
import { newId, newWallet, type World } from "./world.ts";

const maxUnderWay = 6;
const maxSubmissions = 3;

export function peopleActivities(world: World, random: Random): Activity[] {
  return [
    {
      weight: () => (world.usersUnderWay < maxUnderWay ? 1.5 : 0),
      begin: () => join(world, random),
    },
  ];
}

function* join(world: World, random: Random): Story {
  const id = newId("usr", random);
  world.usersUnderWay += 1;
  yield { type: "user.registered", data: describe(id, "registered") };
  for (let submission = 1; ; submission += 1) {
    yield random.integer(2, 12);
    yield { type: "user.kyc_submitted", data: describe(id, "submitted") };
    yield random.integer(2, 8);
    if (random.chance(0.5)) {
      yield { type: "user.kyc_updated", data: userObject(id, "in_review") };
      yield random.integer(2, 8);
    }
    if (random.chance(0.75)) break;
    const last = submission === maxSubmissions || random.chance(0.4);
    if (last) world.usersUnderWay -= 1;
    yield { type: "user.kyc_rejected", data: describe(id, "rejected") };
    if (last) return;
  }
  yield { type: "user.kyc_approved", data: describe(id, "approved") };
  yield random.integer(1, 5);
  world.usersUnderWay -= 1;
  world.admit(newWallet(random));
  yield { type: "user.kyc_verified", data: userObject(id, "verified") };
}

function describe(id: string, status: string): EventData<"user.registered"> {
  return { user_id: id, status };
}

/** As the REST API shows it: named by `id`. */
function userObject(id: string, status: string): EventData<"user.kyc_updated"> {
  return { id, status };
}
