// The list of streams keeps itself up to date.

const POLL_MS = 2000;

// The token of this page's own address: for this page's requests, and for the links to the players.
const token = new URLSearchParams(location.search).get("token");
const list = document.getElementById("streams");

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function bits(perSecond) {
  return perSecond >= 1e6 ? (perSecond / 1e6).toFixed(1) + " Mbit/s" : Math.round(perSecond / 1e3) + " kbit/s";
}

function row(stream) {
  const link = element("a", "card", "");
  link.href = stream.page + (token ? "?token=" + encodeURIComponent(token) : "");
  const state = stream.live ? "live" : "waiting";
  const numbers = element("span", "numbers", "");
  numbers.append(
    element("span", "viewers", stream.viewers + (stream.viewers === 1 ? " viewer" : " viewers")),
    element("span", "bitrate", stream.live ? bits(stream.bitrate_bps) : "no media"),
    element("span", "codecs", stream.codecs.join(" + ")),
  );
  link.append(element("span", "name", stream.id), element("span", "badge " + state, state), numbers);
  const item = document.createElement("li");
  item.append(link);
  return item;
}

async function poll() {
  try {
    const headers = token ? { Authorization: "Bearer " + token } : {};
    const response = await fetch("streams.json", { headers });
    if (response.ok) {
      const { streams } = await response.json();
      // A link that has the focus keeps it.
      const focused = document.activeElement?.closest("a")?.href;
      list.replaceChildren(...streams.map(row));
      if (!streams.length) list.append(element("li", "none", "No stream is running."));
      if (focused) [...list.querySelectorAll("a")].find((link) => link.href === focused)?.focus();
    }
    document.body.dataset.state = response.ok ? "fresh" : "stale";
  } catch {
    document.body.dataset.state = "stale";
  }
  setTimeout(poll, POLL_MS);
}

poll();
