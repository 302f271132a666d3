// The page of versions: an admin key for this tab, what the server tells, renewed while somebody looks.

import { $ } from "/server.js";
import { listen } from "/versions-act.js";
import { KEY, Unwelcome, inWords, known, load, showOlder } from "/versions-read.js";
import { say, show, showOlderLog } from "/versions-show.js";

const RENEW_MS = 3000;

/// What others did meanwhile is said, too.
async function renew() {
  if (document.hidden || $("signed-in").hidden) return;
  const seen = known.log.length;
  await again();
  const news = known.log.slice(seen);
  if (news.length && !$("act").open) say(`New in the log: ${news.map(inWords).join("; ")}.`);
}

async function again() {
  try {
    await load();
    show();
    tell("");
  } catch (problem) {
    if (!(problem instanceof Unwelcome)) tell(`${problem.sentence ?? problem} What is shown may be old.`);
  }
}

function tell(text) {
  $("problem").hidden = !text;
  if ($("problem").textContent !== text) $("problem").textContent = text;
}

// ---- who looks

async function signIn() {
  try {
    await load();
  } catch (problem) {
    if (!(problem instanceof Unwelcome)) refuse(problem.sentence ?? String(problem));
    return;
  }
  $("sign-in").hidden = true;
  for (const id of ["signed-in", "sign-out"]) $(id).hidden = false;
  show();
}

function signOut(why) {
  sessionStorage.removeItem(KEY);
  $("act").close();
  tell("");
  for (const id of ["signed-in", "sign-out"]) $(id).hidden = true;
  refuse(why);
}

/// Shows the form for the key, and why.
function refuse(why) {
  $("sign-in").hidden = false;
  $("sign-in-problem").hidden = !why;
  $("sign-in-problem").textContent = why;
  $("admin-key").focus();
}

async function enter(event) {
  event.preventDefault();
  sessionStorage.setItem(KEY, $("admin-key").value.trim());
  $("admin-key").value = "";
  say("");
  await signIn();
  if ($("signed-in").hidden) return;
  say("Signed in.");
  $("sign-out").focus();
}

function start() {
  listen();
  document.addEventListener("unwelcome", ({ detail }) => signOut(detail));
  document.addEventListener("visibilitychange", renew);
  $("sign-in").addEventListener("submit", enter);
  $("sign-out").addEventListener("click", () => { say("Signed out."); signOut(""); });
  $("kind").addEventListener("change", again);
  $("older-log").addEventListener("click", showOlderLog);
  $("older-versions").addEventListener("click", () => { showOlder(); again(); });
  setInterval(renew, RENEW_MS);
  if (sessionStorage.getItem(KEY)) signIn();
  else refuse("");
}

start();
