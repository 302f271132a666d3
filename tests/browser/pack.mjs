// Other versions of a pack, for tests.
import { createHash } from "node:crypto";
import { cpSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const WEIGHTS = "unet/model.safetensors";
const BIAS = /conv_out\.bias$/;

const sha256 = (data) => createHash("sha256").update(data).digest("hex");

/// Copies a pack without its reward, moves the last bias of its denoiser by `shift`, and writes the manifest that belongs to it. The
/// golden outputs stay the pack's own: a shift far below their tolerance (1e-4) is a sound version, a larger one is refused.
export function tuned(pack, into, shift) {
  cpSync(pack, into, { recursive: true, filter: (path) => !["reward", "record"].some((part) => path === join(pack, part)) });
  const weights = readFileSync(join(into, WEIGHTS));
  move(weights, shift);
  writeFileSync(join(into, WEIGHTS), weights);
  const manifest = JSON.parse(readFileSync(join(into, "manifest.json"), "utf8"));
  const { unet } = manifest.components;
  unet.files[WEIGHTS] = { sha256: sha256(weights), bytes: statSync(join(into, WEIGHTS)).size };
  const listed = Object.entries(unet.files).sort(([a], [b]) => (a < b ? -1 : 1));
  unet.sha256 = sha256(listed.map(([path, facts]) => `${facts.sha256}  ${path}\n`).join(""));
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  writeFileSync(join(into, "manifest.json"), text);
  return `${manifest.name}@${sha256(text).slice(0, 12)}`;
}

/// The header of safetensors says where each tensor lies behind it.
function move(weights, shift) {
  const length = Number(weights.readBigUInt64LE(0));
  const header = JSON.parse(weights.subarray(8, 8 + length).toString());
  const [, { dtype, data_offsets: [from, to] }] = Object.entries(header).find(([name]) => BIAS.test(name));
  if (dtype !== "F32") throw new Error(`the bias is ${dtype}, not F32`);
  for (let at = 8 + length + from; at < 8 + length + to; at += 4) weights.writeFloatLE(weights.readFloatLE(at) + shift, at);
}
