// The XMP packet, which is XML; only what no longer holds is changed.

/** What is in the packet, and what stands there instead: as an attribute and as an element. */
const CHANGES = [
  [/(\btiff:Orientation\s*=\s*["'])\d+/g, '$11'],
  [/(<tiff:Orientation\b[^>]*>)\s*\d+/g, '$11'],
  // Thumbnails show the photo as it was.
  [/<(xmp|xap):Thumbnails\b[\s\S]*?<\/\1:Thumbnails>/g, ''],
  // What other parts of the old file held, a film or a brighter picture, is not in the new one.
  [/<(Container|GContainer):Directory\b[\s\S]*?<\/\1:Directory>/g, ''],
  [/\s(?:xmpNote:HasExtendedXMP|hdrgm:Version|GCamera:(?:MotionPhoto|MicroVideo)\w*)\s*=\s*(?:"[^"]*"|'[^']*')/g, ''],
];

/**
 * The packet of a photo whose pixels are upright now.
 * @param {Uint8Array} packet
 * @returns {Uint8Array | undefined} nothing if it is not in UTF-8
 */
export function forResult(packet) {
  let text;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(packet);
  } catch {
    return undefined;
  }
  return new TextEncoder().encode(CHANGES.reduce((text, [from, to]) => text.replace(from, to), text));
}
