// The cart without a new page: the same forms, sent in the background. What comes back is the whole
// page, of which only the parts that change are taken. Without this file, the forms work as forms.

const PARTS = ["cart", "cart-chip", "cart-bar"];
const KEPT = ["name", "email"];
const READ_BY_NOW = 8000; // milliseconds; the cart itself goes on saying the same
const ANSWERED_BY_NOW = 5000; // milliseconds; later than that, a click means: try again

const part = (page, name) => page.querySelector(`[data-part="${name}"]`);

async function send(form) {
  const answer = await fetch(form.action, {
    method: "POST",
    body: new URLSearchParams(new FormData(form)),
    headers: { Accept: "text/html" },
  });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!part(page, "cart")) throw new Error(`no cart in the answer (${answer.status})`);
  show(page);
}

function show(page) {
  const typed = KEPT.map((id) => [id, document.getElementById(id)?.value]);
  const inCart = document.activeElement?.closest('[data-part="cart"]');
  const focused = inCart ? document.activeElement.id || "cart-title" : "";
  for (const name of PARTS) part(document, name).replaceWith(part(page, name));
  // The text changes inside the element that is announced, which therefore stays.
  say(part(page, "notice").textContent);
  for (const [id, value] of typed) {
    const input = document.getElementById(id);
    if (input && value) input.value = value;
  }
  // The focus goes where it was; to the cart's title, if that is not there any more.
  if (focused) (document.getElementById(focused) ?? document.getElementById("cart-title")).focus();
  document.querySelector(".fault-summary")?.focus();
}

let saying;
function say(sentence) {
  const notice = part(document, "notice");
  notice.textContent = sentence;
  clearTimeout(saying);
  saying = setTimeout(() => (notice.textContent = ""), READ_BY_NOW);
}

// One after the other: each answer holds the whole cart, and the last one must be the newest.
let queue = Promise.resolve();

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-cart]")) return;
  event.preventDefault();
  if (isSent(form.querySelector("[data-submits]"))) return;
  queue = queue.then(() => send(form)).catch(() => form.submit());
});

// Enter in a changed field is a change and a submission: one of them is enough.
function isSent(input) {
  if (!input) return false;
  const before = input.dataset.sent;
  input.dataset.sent = input.value;
  return before === input.value;
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
});

// A second click on "Place the order" would be the same order; it need not be sent at all.
document.addEventListener("submit", (event) => {
  if (!event.target.matches(".checkout")) return;
  const button = event.target.querySelector("button");
  if (button.getAttribute("aria-disabled")) event.preventDefault();
  button.setAttribute("aria-disabled", "true");
  setTimeout(() => button.removeAttribute("aria-disabled"), ANSWERED_BY_NOW);
});

// Back from the order's page: the browser shows this page as it was left.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
