// What a browser loads for the SDK: socket.io-client, protocol and client in one bundle, minified and gzipped.
// `node packages/client/scripts/size.mjs` prints it and fails above the limit.
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build, defaultClientConditions } from "vite";

/** 18 kB of 1,024 bytes. */
const limit = 18 * 1024;

// what a test runner or a shell says of it would change the bundle
process.env.NODE_ENV = "production";

const built = await build({
  configFile: false,
  logLevel: "error",
  // sources, never a stale build
  resolve: { conditions: ["sharmo-source", ...defaultClientConditions] },
  build: {
    write: false,
    modulePreload: false,
    rolldownOptions: {
      input: fileURLToPath(new URL("../src/index.ts", import.meta.url)),
      preserveEntrySignatures: "strict",
    },
  },
});

// the best level, as servers of static files use it
const sizes = [built].flat()[0].output.map(({ code = "" }) => gzipSync(code, { level: 9 }).length);
const size = sizes.reduce((sum, one) => sum + one, 0);
process.stdout.write(`${size} bytes of ${limit} after gzip\n`);
if (size > limit) process.exitCode = 1;
