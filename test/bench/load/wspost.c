/* wspost - posts signed webhooks over keep-alive HTTP connections (one thread, epoll).
 *
 * Each connection posts one event, waits for the answer, and posts its next: what it posts is
 * accepted in that order. Event k goes to lane k mod L with number lane * 10^9 + k / L in its
 * "n":, and lane l to connection l mod C; so every lane is one order, however many connections
 * there are. "t": is the microsecond (CLOCK_MONOTONIC) at which the event was due (--rate) or
 * sent (without). Prints one JSON line at the end.
 *
 *   cc -O2 -o wspost wspost.c
 */
#define _GNU_SOURCE
#include "wscommon.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

typedef struct {
  int fd, busy;
  uint64_t next, ready;              /* its next event; how many of its events are due or allowed */
  uint64_t posted, sent_at;
  char *out; size_t out_n, out_o;
  char in[16384]; size_t in_n;
} conn;

static const char *host = "127.0.0.1", *path = "/api/sharmo-webhooks", *secret, *marker = "n", *method = "POST";
static int port, C = 1, raw_nats, sent_stamp; static const char *subject = "events";
static uint64_t E, L = 1, window, per_event = 1, tokens = 1; static uint64_t burst = 1; static double rate, seconds = 0, timeout_s = 120; static int size_b = 350;
static conn *conns; static int ep, timer;
static uint64_t start, allowed, answered, sent, refused, last_answer; static volatile uint64_t *prog;
static hist H_answer, H_late; static char run_id[24]; static char *pad; static int pad_n;
static int over; static volatile sig_atomic_t stop;
static void on_sig(int s) { (void)s; stop = 1; }
static void fail(const char *what) { fprintf(stderr, "wspost: %s: %s\n", what, errno ? strerror(errno) : "unexpected"); exit(1); }

static int body_of(uint64_t k, uint64_t stamp, char *b, size_t cap) {
  uint64_t lane = k % L; struct timespec t; struct tm g;
  clock_gettime(CLOCK_REALTIME, &t); gmtime_r(&t.tv_sec, &g);
  int n = snprintf(b, cap,
    "{\"id\":\"evt_%s%010llu\",\"type\":\"token.price_changed\",\"created_at\":\"%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ\",\"data\":{"
    "\"token_id\":\"tok_%llu\",\"%s\":%llu,\"t\":%llu,\"symbol\":\"SHRM\",\"current_price\":10.50,\"previous_price\":10.25,\"currency\":\"USD\",\"note\":\"",
    run_id, (unsigned long long)k, g.tm_year + 1900, g.tm_mon + 1, g.tm_mday, g.tm_hour, g.tm_min, g.tm_sec, t.tv_nsec / 1000,
    (unsigned long long)(lane % tokens), marker, (unsigned long long)(lane * 1000000000ull + k / L), (unsigned long long)stamp);
  int rest = size_b - n - 3;
  if (rest < 0) rest = 0;
  if (rest > pad_n) rest = pad_n;
  memcpy(b + n, pad, (size_t)rest); n += rest;
  memcpy(b + n, "\"}}", 4);
  return n + 3;
}
static void dial(conn *c, int op) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)}; inet_pton(AF_INET, host, &a.sin_addr); int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c->fd < 0 || connect(c->fd, (void *)&a, sizeof a)) fail("connect");
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (raw_nats) { const char *hi = "CONNECT {\"verbose\":false}\r\n"; if (send(c->fd, hi, strlen(hi), MSG_NOSIGNAL) < 0) fail("send"); }
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = c}; epoll_ctl(ep, op, c->fd, &e);
}
static void want(conn *c, int out) {
  struct epoll_event e = {.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}
static void flush(conn *c) {
  while (c->out_o < c->out_n) {
    ssize_t r = send(c->fd, c->out + c->out_o, c->out_n - c->out_o, MSG_NOSIGNAL);
    if (r < 0) { if (errno == EAGAIN) { want(c, 1); return; } fail("send"); }
    c->out_o += (size_t)r;
  }
  if (c->out_n) { c->out_n = c->out_o = 0; want(c, 0); }
}
static uint64_t due_at(uint64_t k) { return start + (uint64_t)((double)(k / burst * burst) * 1e6 / rate); }
static void post(conn *c) {
  uint64_t k = c->next, now = now_us(), due = rate > 0 ? due_at(k) : now;
  size_t cap = (size_t)size_b + 1024; char *body = malloc(cap), hex[65];
  int n = body_of(k, sent_stamp ? now : due, body, cap);
  c->out = realloc(c->out, cap + 1024);
  int h;
  if (raw_nats) h = sprintf(c->out, "PUB %s %d\r\n", subject, n);
  else {
    h = sprintf(c->out, "%s %s HTTP/1.1\r\nHost: %s:%d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", method, path, host, port, n);
    if (secret) { hmac_sha256_hex(secret, body, (size_t)n, hex); h += sprintf(c->out + h, "X-Sharmo-Signature: %s\r\n", hex); }
    h += sprintf(c->out + h, "\r\n");
  }
  memcpy(c->out + h, body, (size_t)n); free(body);
  c->out_n = (size_t)(h + n); c->out_o = 0;
  if (raw_nats) { memcpy(c->out + c->out_n, "\r\n", 2); c->out_n += 2; }
  c->sent_at = now; c->next += (uint64_t)C; c->posted++; c->busy = 1; sent++;
  if (rate > 0) hist_add(&H_late, now > due ? now - due : 0);
  flush(c);
  if (raw_nats) { c->busy = 0; answered++; last_answer = now; }
}
static void pump(conn *c) { while (!c->busy && !over && !stop && c->posted < c->ready) post(c); }

/* One whole answer in c->in: its length; 0 when some is still to come. */
static size_t answer(conn *c) {
  char *end = memmem(c->in, c->in_n, "\r\n\r\n", 4), *l;
  if (!end) return 0;
  size_t head = (size_t)(end - c->in) + 4, body = 0; *end = 0;
  if ((l = strcasestr(c->in, "\r\ncontent-length:"))) body = strtoull(l + 17, NULL, 10);
  else if (strcasestr(c->in, "\r\ntransfer-encoding:")) {
    *end = '\r';
    char *z = memmem(c->in + head, c->in_n - head, "0\r\n\r\n", 5);
    return z ? (size_t)(z - c->in) + 5 : 0;
  }
  *end = '\r';
  return c->in_n >= head + body ? head + body : 0;
}
static void on_read(conn *c) {
  ssize_t r = recv(c->fd, c->in + c->in_n, sizeof c->in - 1 - c->in_n, 0);
  if (r < 0 && errno == EAGAIN) return;
  /* a server may end a connection that is not in use; in the middle of a post nobody knows what became of it */
  if (r <= 0 && !c->busy && !raw_nats) { close(c->fd); c->in_n = 0; dial(c, EPOLL_CTL_ADD); pump(c); return; }
  if (r <= 0) { if (!r) errno = ECONNRESET; fail("a connection ended"); }
  c->in_n += (size_t)r; c->in[c->in_n] = 0;
  if (raw_nats) {
    if (memmem(c->in, c->in_n, "PING\r\n", 6)) { if (send(c->fd, "PONG\r\n", 6, MSG_NOSIGNAL) < 0) fail("send"); }
    if (memmem(c->in, c->in_n, "-ERR", 4)) { errno = 0; fail(c->in); }
    c->in_n = 0; return;
  }
  size_t n = answer(c);
  if (!n) { if (c->in_n == sizeof c->in - 1) { errno = EMSGSIZE; fail("answer"); } return; }
  uint64_t now = now_us();
  if (c->in[9] != '2') {
    if (!refused++) fprintf(stderr, "wspost: refused: %.*s\n", (int)(n < 400 ? n : 400), c->in);
  }
  memmove(c->in, c->in + n, c->in_n - n); c->in_n -= n;
  hist_add(&H_answer, now - c->sent_at); answered++; last_answer = now; c->busy = 0;
  pump(c);
}
/* Lets so many events in all be posted. */
static void allow(uint64_t upto) {
  if (upto > E) upto = E;
  for (; allowed < upto; allowed++) { conn *c = &conns[allowed % (uint64_t)C]; c->ready++; pump(c); }
}
static void arm(uint64_t us) {
  struct itimerspec t = {.it_value = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000}};
  if (!us) t.it_value.tv_nsec = 1;
  timerfd_settime(timer, 0, &t, NULL);
}
static void usage(void) {
  fprintf(stderr,
    "wspost -p PORT [options]\n"
    "  -H HOST (127.0.0.1)  -u PATH (/api/sharmo-webhooks)  -c CONNECTIONS (1)  --secret S (none: unsigned)  --put\n"
    "  -e EVENTS            in all; 0: until --seconds are over\n"
    "  --rate R             events a second, due at even times (0: as fast as answers and window allow)  --burst B (1) due together   --seconds S\n"
    "  --window W --progress FILE --per-event M   at most W events that are not delivered M times each (wsload --progress)\n"
    "  --lanes L (1)        a multiple of the connections   --tokens T (1)  lane l is about token l mod T\n"
    "  --marker NAME (n)    of the number's field   --size BYTES (350)   --stamp-sent  \"t\": is when it was sent, also with --rate\n"
    "  --nats SUBJECT       PUB over TCP instead of HTTP   --timeout S (120)\n");
  exit(2);
}
int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    char *a = argv[i];
#define ARG (++i < argc ? argv[i] : (usage(), (char *)0))
    if (!strcmp(a, "-p")) port = atoi(ARG); else if (!strcmp(a, "-H")) host = ARG; else if (!strcmp(a, "-u")) path = ARG;
    else if (!strcmp(a, "-c")) C = atoi(ARG); else if (!strcmp(a, "-e")) E = strtoull(ARG, 0, 10); else if (!strcmp(a, "--secret")) secret = ARG;
    else if (!strcmp(a, "--rate")) rate = atof(ARG); else if (!strcmp(a, "--seconds")) seconds = atof(ARG);
    else if (!strcmp(a, "--window")) window = strtoull(ARG, 0, 10); else if (!strcmp(a, "--per-event")) per_event = strtoull(ARG, 0, 10);
    else if (!strcmp(a, "--burst")) burst = strtoull(ARG, 0, 10);
    else if (!strcmp(a, "--lanes")) L = strtoull(ARG, 0, 10); else if (!strcmp(a, "--tokens")) tokens = strtoull(ARG, 0, 10);
    else if (!strcmp(a, "--marker")) marker = ARG; else if (!strcmp(a, "--size")) size_b = atoi(ARG); else if (!strcmp(a, "--timeout")) timeout_s = atof(ARG);
    else if (!strcmp(a, "--stamp-sent")) sent_stamp = 1; else if (!strcmp(a, "--put")) method = "PUT";
    else if (!strcmp(a, "--nats")) { raw_nats = 1; subject = ARG; }
    else if (!strcmp(a, "--progress")) {
      int f = open(ARG, O_RDONLY);
      if (f < 0) { perror("progress"); return 2; }
      prog = mmap(0, 4096, PROT_READ, MAP_SHARED, f, 0); close(f);
      if (prog == MAP_FAILED) { perror("progress"); return 2; }
    } else usage();
  }
  if (!port || C < 1 || !L || !burst || L % (uint64_t)C || !tokens || (window && !prog) || (!E && seconds <= 0)) usage();
  uint64_t limit = seconds > 0 ? (uint64_t)(seconds * 1e6) : UINT64_MAX;
  if (!E) E = UINT64_MAX;
  signal(SIGINT, on_sig); signal(SIGTERM, on_sig); signal(SIGPIPE, SIG_IGN);
  pad_n = size_b; pad = malloc((size_t)pad_n + 1);
  static const char words[] = "The quick brown fox jumps over the lazy dog while the price of the token moves. ";
  for (int i = 0; i < pad_n; i++) pad[i] = words[(size_t)i % (sizeof words - 1)];
  snprintf(run_id, sizeof run_id, "%08x%06x", (unsigned)now_us() * 2654435761u, (unsigned)getpid() & 0xffffff);
  ep = epoll_create1(0); timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK); conns = calloc((size_t)C, sizeof *conns);
  struct epoll_event te = {.events = EPOLLIN, .data.ptr = NULL}; epoll_ctl(ep, EPOLL_CTL_ADD, timer, &te);
  for (int i = 0; i < C; i++) {
    conn *c = &conns[i]; c->next = (uint64_t)i; dial(c, EPOLL_CTL_ADD);
  }
  struct epoll_event ev[256]; struct rusage r; uint64_t d0 = prog ? prog[0] : 0; start = now_us() + 1000;
  while (!stop) {
    uint64_t now = now_us(), due = UINT64_MAX, past = now > start ? now - start : 0;
    if (past >= limit) { over = 1; if (answered == sent) break; }
    else if (now >= start) {
      uint64_t upto = E;
      if (rate > 0) { upto = ((uint64_t)((double)past * rate / 1e6 / (double)burst) + 1) * burst; due = due_at(upto) + 1; }
      if (window) {
        uint64_t open = (prog[0] - d0) / per_event + window;
        if (open < upto) upto = open;
        if (upto < E) due = now + 200;
      } else if (!(rate > 0) && upto > sent + (uint64_t)C) upto = sent + (uint64_t)C;
      allow(upto);
      if (allowed >= E && answered >= E) break;
    } else due = start;
    if (past > timeout_s * 1e6) { errno = ETIMEDOUT; fail("answers"); }
    if (due != UINT64_MAX) { now = now_us(); arm(due > now ? due - now : 0); }
    int k = epoll_wait(ep, ev, 256, 20);
    for (int i = 0; i < k; i++) {
      conn *c = ev[i].data.ptr;
      if (!c) { uint64_t x; if (read(timer, &x, 8) < 0 && errno != EAGAIN) fail("timer"); continue; }
      if (ev[i].events & EPOLLOUT) flush(c);
      if (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_read(c);
    }
  }
  getrusage(RUSAGE_SELF, &r);
  double took = (double)((last_answer ? last_answer : now_us()) - start) * 1e-6;
  printf("{\"sent\":%llu,\"answered\":%llu,\"refused\":%llu,\"elapsed_s\":%.6f,\"per_s\":%.1f,\"cpu_s\":%.3f,"
    "\"answer_us\":{\"p50\":%llu,\"p99\":%llu,\"max\":%llu},\"late_us\":{\"p50\":%llu,\"p99\":%llu,\"max\":%llu}}\n",
    (unsigned long long)sent, (unsigned long long)answered, (unsigned long long)refused, took, took > 0 ? (double)answered / took : 0,
    (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + 1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec),
    (unsigned long long)hist_q(&H_answer, .5), (unsigned long long)hist_q(&H_answer, .99), (unsigned long long)H_answer.max,
    (unsigned long long)hist_q(&H_late, .5), (unsigned long long)hist_q(&H_late, .99), (unsigned long long)H_late.max);
  return 0;
}
