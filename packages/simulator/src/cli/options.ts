/** The options of the command, once: what they are called, take and mean. Help and messages follow from it. */

export interface Option {
  /** What stands for the value in the help; absent for a switch. */
  readonly value?: string;
  readonly help: string;
  /** Shown when the value is missing or wrong. */
  readonly example?: string;
  readonly multiple?: boolean;
}

export const defaultUrl = "http://127.0.0.1:3000/api/sharmo-webhooks";
export const secretVariable = "SHARMO_WEBHOOK_SECRET";

export type OptionName =
  | "url"
  | "secret"
  | "secret-file"
  | "scheme"
  | "rate"
  | "burst"
  | "count"
  | "seed"
  | "start"
  | "tokens"
  | "time-scale"
  | "duplicates"
  | "late"
  | "style"
  | "in-flight"
  | "quiet"
  | "signed"
  | "data"
  | "set"
  | "id"
  | "created-at"
  | "help"
  | "version";

export const options: Readonly<Record<OptionName, Option>> = {
  url: { value: "URL", help: `where webhooks go (${defaultUrl})`, example: defaultUrl },
  secret: {
    value: "SECRET",
    help: `the webhook secret; others can see it in the process list`,
    example: "whsec_…",
  },
  "secret-file": {
    value: "PATH",
    help: "a file with the secret: JSON with webhook_secret, or plain text",
    example: "./data/dev-secrets.json",
  },
  scheme: { value: "SCHEME", help: "signature: body, timestamped or both (body)", example: "timestamped" },
  rate: { value: "N", help: "events a second (5)", example: "20" },
  burst: { value: "N", help: "send so many events at a time, at the same average rate (1)", example: "50" },
  count: { value: "N", help: "stop after so many events", example: "100" },
  seed: { value: "TEXT", help: "the same events with the same ids and times each time", example: "7" },
  start: {
    value: "TIME",
    help: "when the simulated market opens; with --seed (2025-01-01T00:00:00Z)",
    example: "2025-06-01T00:00:00Z",
  },
  tokens: { value: "N", help: "how many tokens trade once the market has filled (12)", example: "50" },
  "time-scale": {
    value: "N",
    help: "run the retry schedule N times faster: 60 makes 5 minutes 5 seconds (1)",
    example: "60",
  },
  duplicates: {
    value: "SHARE",
    help: "share of events sent again although they were answered (0.02)",
    example: "0.1",
  },
  late: {
    value: "SHARE",
    help: "share of events held back until newer ones overtook them (0.02)",
    example: "0.1",
  },
  style: { value: "STYLE", help: "how JSON is written: json, python or dotnet (json)", example: "python" },
  "in-flight": { value: "N", help: "requests at a time; 1 keeps the order (8)", example: "1" },
  quiet: { help: "no progress, only errors and the closing line" },
  signed: { help: "sign the challenge; implied by --secret and --secret-file" },
  data: {
    value: "JSON",
    help: "the whole data of the event, sent as it is written here",
    example: `'{"token_id":"tok_1"}'`,
  },
  set: {
    value: "KEY=VALUE",
    help: "replace one field of the sample data; VALUE is JSON or a plain text",
    example: "current_price=12.50",
    multiple: true,
  },
  id: {
    value: "ID",
    help: "the event's id; sending one twice makes a duplicate (a new one)",
    example: "evt_1",
  },
  "created-at": { value: "TIME", help: "the event's time (now)", example: "2025-06-01T12:00:00Z" },
  help: { help: "show this help" },
  version: { help: "show the version" },
};

const target: readonly OptionName[] = ["url", "secret", "secret-file", "scheme"];

export type CommandName = "run" | "register" | "send" | "types";

interface Command {
  readonly usage: string;
  readonly help: string;
  readonly options: readonly OptionName[];
}

export const commands: Readonly<Record<CommandName, Command>> = {
  run: {
    usage: "run [options]",
    help: "Run a market and send its events until Ctrl-C or --count",
    options: [
      ...target,
      "rate",
      "burst",
      "count",
      "seed",
      "start",
      "tokens",
      "time-scale",
      "duplicates",
      "late",
      "style",
      "in-flight",
      "quiet",
    ],
  },
  register: {
    usage: "register [options]",
    help: "Register the URL: post the challenge and check the answer",
    options: [...target, "signed"],
  },
  send: {
    usage: "send TYPE [options]",
    help: "Send one test event, as the vendor's dashboard does",
    options: [...target, "data", "set", "id", "created-at"],
  },
  types: { usage: "types", help: "List the event types", options: [] },
};

export function isCommandName(text: string): text is CommandName {
  return Object.hasOwn(commands, text);
}

const program = "sharmo-simulator";

export function overview(): string {
  const lines = Object.values(commands).map(({ usage, help }) => `  ${usage.padEnd(20)}${help}`);
  return [
    `${program}: a market that sends webhooks the way Sharmo does`,
    "",
    "Usage:",
    ...lines,
    "",
    `The secret comes from --secret, --secret-file or ${secretVariable}.`,
    `Options of a command: ${program} run --help. Also: --version.`,
    "",
    "Examples:",
    `  ${program} run --secret-file ./data/dev-secrets.json --rate 20 --time-scale 60`,
    `  ${program} send token.price_changed --set token_id=tok_1 --set current_price=12.50`,
    "",
  ].join("\n");
}

export function commandHelp(name: CommandName): string {
  const command = commands[name];
  const rows = command.options.map((option) => {
    const known = options[option];
    return [known.value === undefined ? `--${option}` : `--${option} ${known.value}`, known.help] as const;
  });
  const lines = rows.map(([left, right]) => `  ${left.padEnd(22)}${right}`);
  return [
    `${command.help}.`,
    "",
    `Usage: ${program} ${command.usage}`,
    ...(lines.length > 0 ? ["", ...lines] : []),
    "",
  ].join("\n");
}
