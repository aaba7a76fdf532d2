// Puts the Lua scripts beside the compiled files that read them (run inside a workspace, after tsc).

import { statSync } from "node:fs";
import { cp } from "node:fs/promises";
import { extname } from "node:path";

await cp("src", "dist", {
  recursive: true,
  filter: (source) => extname(source) === ".lua" || statSync(source).isDirectory(),
});
