// Keeps the part of a page that shows jobs up to date. News come as server-sent events, or, where
// those do not get through, by looking every three seconds. Either only says when to look: what is
// shown is the server's own rendering. It ends when nothing more can change.

const LOOK_EVERY = 3000; // milliseconds

const live = document.querySelector("[data-live]");
if (live && live.dataset.settled !== "true") watch(live);

function watch(section) {
  const events = new EventSource(section.dataset.events);
  const looking = setInterval(() => {
    if (events.readyState !== EventSource.OPEN) look();
  }, LOOK_EVERY);
  events.addEventListener("message", look);

  let busy = false;
  let again = false;

  // One look at a time; news during a look mean one more look after it.
  async function look() {
    again = true;
    if (busy) return;
    busy = true;
    while (again) {
      again = false;
      await refresh(section).catch(() => {}); // the store is away: the timer tries again
    }
    busy = false;
    if (section.dataset.settled === "true") stop();
  }

  function stop() {
    events.close();
    clearInterval(looking);
  }
}

async function refresh(section) {
  const answer = await fetch(section.dataset.part, { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[data-live]");
  if (!fresh) throw new Error(`nothing to show in the answer (${answer.status})`);
  for (const part of fresh.querySelectorAll("[data-job]")) replace(section, part);
  say(section.querySelector("[data-summary]"), fresh.querySelector("[data-summary]").textContent);
  section.dataset.settled = fresh.dataset.settled;
  if (section.dataset.settled === "true") section.querySelector(".no-script")?.remove();
}

// What has not changed stays, and with it the reader's focus and the running animations.
function replace(section, part) {
  const old = section.querySelector(`[data-job="${CSS.escape(part.dataset.job)}"]`);
  if (!old || old.isEqualNode(part)) return;
  const link = old.contains(document.activeElement) && part.querySelector("a, pre");
  old.replaceWith(part);
  if (link) link.focus();
}

// Only a sentence that is new is written, because each writing is read out.
function say(element, sentence) {
  if (element.textContent !== sentence) element.textContent = sentence;
}
