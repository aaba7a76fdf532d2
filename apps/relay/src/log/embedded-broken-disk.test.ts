/**
 * A disk that fails in the one write that makes a transaction count. No system does that on demand: a few lines of C
 * stand between the process and its `pwrite`. Runs where there is a C compiler.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

/** Fails writes to the two meta pages, but not that of a new file, while the file named `FAIL_META_WRITES` is there. */
const shim = `
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static ssize_t checked(int fd, const void *bytes, size_t size, off_t at) {
  if (at > 0 && at < 8192 && access(getenv("FAIL_META_WRITES"), F_OK) == 0) { errno = EIO; return -1; }
  return syscall(SYS_pwrite64, fd, bytes, size, at);
}
ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) { return checked(fd, bytes, size, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t at) { return checked(fd, bytes, size, at); }
`;

const compiler = ["cc", "gcc", "clang"].find((name) => {
  try {
    execFileSync(name, ["--version"], { stdio: "ignore" });
    return process.platform === "linux";
  } catch {
    return false;
  }
});

it.skipIf(compiler === undefined)(
  "a failed write of the meta page is refused, and once the disk works again so does the log",
  { timeout: 60_000 },
  async () => {
    const dir = await mkdtemp(join(tmpdir(), "sharmo-disk-"));
    try {
      await writeFile(join(dir, "shim.c"), shim);
      execFileSync(compiler ?? "", ["-shared", "-fPIC", "-o", join(dir, "shim.so"), join(dir, "shim.c")]);
      const script = fileURLToPath(new URL("./embedded-broken-disk.test-process.ts", import.meta.url));
      const child = spawn(
        process.execPath,
        ["--conditions=sharmo-source", "--import", "tsx", script, join(dir, "data")],
        {
          env: {
            ...process.env,
            LD_PRELOAD: join(dir, "shim.so"),
            FAIL_META_WRITES: join(dir, "fails"),
          },
          stdio: ["ignore", "pipe", "ignore"],
        },
      );
      let said = "";
      child.stdout.on("data", (text: Buffer) => {
        said += text.toString();
      });
      const [code] = await once(child, "close");
      expect(said.trim().split("\n")).toEqual([
        "accepted 1",
        "accepted 2",
        "not_writable",
        "not_writable",
        "not ready: not_writable",
        "read 1 2",
        "accepted 3",
        "ready",
        "accepted 4",
        "stored 1 2 3 4 in order, refused ones not among them",
      ]);
      expect(code).toBe(0);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  },
);
