// Uploads one video to /classify and shows the answer. Everything from the server is set as text, never as markup.

const byId = (id) => document.getElementById(id);
const show = (id, shown = true) => { byId(id).hidden = !shown; };
const percent = (probability) => `${(100 * probability).toFixed(1)}%`;

let video = null;
let previewUrl = null;

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function headers() {
  const key = byId("key").value;
  return key ? { "X-API-Key": key } : {};
}

function choose(file) {
  if (!file) return;
  video = file;
  if (previewUrl) URL.revokeObjectURL(previewUrl);
  previewUrl = URL.createObjectURL(file);
  byId("preview").src = previewUrl;
  byId("chosen").textContent = `${file.name}, ${file.size < 1e5 ? `${(file.size / 1e3).toFixed(1)} kB` : `${(file.size / 1e6).toFixed(1)} MB`}`;
  byId("send").disabled = false;
  show("preview");
  show("prompt", false);
  show("chosen");
}

function previewFailed() {
  // a browser plays fewer formats than the server decodes
  show("preview", false);
  show("prompt");
}

async function classify(event) {
  event.preventDefault();
  if (!video) return;
  byId("send").disabled = true;
  byId("answer").setAttribute("aria-busy", "true");
  byId("hint").textContent = "Classifying…";
  show("hint");
  show("problem", false);
  show("result", false);
  try {
    const query = new URLSearchParams(byId("model").value ? { model: byId("model").value } : {});
    const form = new FormData();
    form.append("file", video);
    const answer = await fetch(`/classify?${query}`, { method: "POST", body: form, headers: headers() });
    const body = await answer.json();
    if (answer.ok) showResult(body); else showProblem(body);
  } catch {
    showProblem({ title: "No answer", detail: "The server cannot be reached, or the file changed since it was chosen.", code: "" });
  } finally {
    show("hint", false);
    byId("send").disabled = false;
    byId("answer").setAttribute("aria-busy", "false");
  }
}

function showResult(answer) {
  const [top] = answer.predictions;
  const chosen = answer.tags ?? [top.label]; // null: the model gives one label
  byId("top-label").textContent = answer.tags ? chosen.join(", ") || "No tag" : `${top.label}, ${percent(top.probability)}`;
  byId("predictions").replaceChildren(...answer.predictions.map((each) => predictionRow(each, chosen.includes(each.label))));
  byId("times").replaceChildren(...Object.entries(answer.times_ms).map(timeCell));
  const { width, height, duration_seconds: seconds, frame_count: frames, codec, frame_times_seconds: seen } = answer.video;
  byId("facts").textContent =
    `${answer.model} version ${answer.version} looked at ${seen.length} of ${frames} frames `
    + `(${width} × ${height} px, ${seconds.toFixed(1)} s, ${codec}).`;
  show("result");
}

function predictionRow({ label, probability }, isChosen) {
  const row = element("li", isChosen ? "chosen" : "");
  const track = element("div", "track");
  const bar = element("div", "bar");
  bar.style.width = percent(probability);
  track.setAttribute("aria-hidden", "true");
  track.append(bar);
  row.append(element("span", "label", label), element("span", "probability", percent(probability)), track);
  return row;
}

function timeCell([stage, ms]) {
  const cell = element("div");
  cell.append(element("dt", "", stage), element("dd", "", `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`));
  return cell;
}

function showProblem({ title, detail, code, request_id: requestId }) {
  byId("problem-title").textContent = title;
  byId("problem-detail").textContent = detail;
  byId("problem-reference").textContent = requestId ? `${code}, request ${requestId}` : code;
  show("key-row", code === "unauthorized" || byId("key").value !== "");
  show("problem");
}

async function nameModels() {
  const answer = await fetch("/models", { headers: headers() });
  if (answer.status === 401) {
    show("key-row");
    byId("served").textContent = "Enter an API key to use this server.";
    return;
  }
  const { default: defaultName, models } = await answer.json();
  const names = [...new Set(models.map((model) => model.name))];
  byId("model").replaceChildren(...names.map((name) => new Option(name, name, false, name === defaultName)));
  show("model-row", names.length > 1);
  const served = models.find((model) => model.name === defaultName && model.is_default);
  byId("served").textContent = served
    ? `${served.name} version ${served.version}: ${served.labels.length} labels, ${served.precision} on ${served.execution_provider}`
    : "The models are loading; reload this page shortly.";
}

function watchDrops(zone) {
  for (const name of ["dragenter", "dragover"]) {
    zone.addEventListener(name, (event) => { event.preventDefault(); zone.classList.add("over"); });
  }
  for (const name of ["dragleave", "drop"]) {
    zone.addEventListener(name, () => zone.classList.remove("over"));
  }
  zone.addEventListener("drop", (event) => { event.preventDefault(); choose(event.dataTransfer.files[0]); });
}

byId("file").addEventListener("change", (event) => choose(event.target.files[0]));
byId("preview").addEventListener("error", previewFailed);
byId("form").addEventListener("submit", classify);
byId("key").addEventListener("change", nameModels);
watchDrops(byId("drop"));
nameModels().catch(() => { byId("served").textContent = "The server does not answer."; });
