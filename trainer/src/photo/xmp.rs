//! XMP packets: properties that announce what a restored photo no longer has are taken out.

/// A packet without them.
#[derive(Debug, PartialEq)]
pub struct Cleaned {
    /// What is left.
    pub packet: Vec<u8>,
    /// Whether it announced a gain map.
    pub gain_map: bool,
    /// Whether it announced a video.
    pub video: bool,
}

/// Namespaces of nothing else than pictures and data behind the photo.
const SECOND_PICTURES: [&str; 5] = [
    GAIN_MAP,
    "http://ns.google.com/photos/1.0/container/",
    "http://ns.google.com/photos/1.0/container/item/",
    "http://ns.google.com/photos/dd/1.0/",
    "http://ns.apple.com/HDRGainMap/1.0/",
];
const GAIN_MAP: &str = "http://ns.adobe.com/hdr-gain-map/1.0/";
const BASIC: &str = "http://ns.adobe.com/xap/1.0/";

/// Takes out gain maps, lists of further pictures, motion videos and thumbnails; `None` for a packet without them, or one that
/// is no UTF-8 or no XML.
pub fn clean(packet: &[u8]) -> Option<Cleaned> {
    let text = std::str::from_utf8(packet).ok()?;
    let names = Names::of(text);
    let mut found = Found::default();
    let mut out = String::with_capacity(text.len());
    // Elements that are open inside one that is taken out, itself included.
    let mut inside = 0usize;
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        if inside == 0 {
            out.push_str(&rest[..start]);
        }
        let tag = &rest[start..];
        let tag = &tag[..tag_end(tag)?];
        rest = &rest[start + tag.len()..];
        let is_element = !tag.starts_with("<?") && !tag.starts_with("<!");
        let (closes, empty) = (tag.starts_with("</"), tag.ends_with("/>"));
        if inside > 0 {
            match (is_element, closes, empty) {
                (true, true, _) => inside -= 1,
                (true, false, false) => inside += 1,
                _ => {}
            }
        } else if !is_element || closes {
            out.push_str(tag);
        } else if names.is_stale(element_name(tag), &mut found) {
            inside = usize::from(!empty);
        } else {
            names.copy_attributes(tag, &mut out, &mut found);
        }
    }
    if !found.any || inside > 0 {
        return None;
    }
    out.push_str(rest);
    Some(Cleaned {
        packet: names.without_unused(out).into_bytes(),
        gain_map: found.gain_map,
        video: found.video,
    })
}

#[derive(Default)]
struct Found {
    any: bool,
    gain_map: bool,
    video: bool,
}

/// Where a tag ends: after its `>`, which may also stand in a quoted value.
fn tag_end(tag: &str) -> Option<usize> {
    let comment = tag.starts_with("<!--");
    if comment {
        return tag.find("-->").map(|at| at + 3);
    }
    let mut quote = None;
    for (at, byte) in tag.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at + 1),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

fn element_name(tag: &str) -> &str {
    let name = tag[1..].split(|c: char| c.is_whitespace() || c == '/' || c == '>');
    name.into_iter().next().unwrap_or_default()
}

/// The attributes of a tag: each one's place with the space before it, its name and its value.
fn attributes(tag: &str) -> Vec<(std::ops::Range<usize>, &str, &str)> {
    let mut found = Vec::new();
    let mut at = 1 + element_name(tag).len();
    while let Some(equals) = tag[at..].find('=').map(|found| at + found) {
        let Some(open) = tag[equals..].find(['"', '\'']).map(|found| equals + found) else {
            break;
        };
        let quote = &tag[open..=open];
        let Some(close) = tag[open + 1..].find(quote).map(|found| open + 1 + found) else {
            break;
        };
        found.push((at..close + 1, tag[at..equals].trim(), &tag[open + 1..close]));
        at = close + 1;
    }
    found
}

/// The namespaces that a packet's prefixes stand for.
struct Names<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Names<'a> {
    fn of(text: &'a str) -> Self {
        let declared = text.split("xmlns:").skip(1).filter_map(|declaration| {
            let (prefix, value) = declaration.split_once('=')?;
            let value = value.trim_start();
            let quote = value
                .chars()
                .next()
                .filter(|quote| "\"'".contains(*quote))?;
            let (uri, _) = value[1..].split_once(quote)?;
            Some((prefix.trim(), uri))
        });
        Names(declared.collect())
    }

    /// Whether a property speaks of something that the photo no longer has.
    fn is_stale(&self, name: &str, found: &mut Found) -> bool {
        let Some((prefix, local)) = name.split_once(':') else {
            return false;
        };
        let declared = self.0.iter().find(|(known, _)| *known == prefix);
        let uri = declared.map_or("", |(_, uri)| uri);
        let video = local.starts_with("MotionPhoto") || local.starts_with("MicroVideo");
        let pictures = SECOND_PICTURES.iter().any(|known| uri.starts_with(known));
        let stale = video || pictures || (uri == BASIC && local == "Thumbnails");
        found.any |= stale;
        found.video |= video;
        found.gain_map |= uri == GAIN_MAP;
        stale
    }

    /// Appends a tag without its stale attributes.
    fn copy_attributes(&self, tag: &str, out: &mut String, found: &mut Found) {
        let mut at = 0;
        for (place, name, _) in attributes(tag) {
            if self.is_stale(name, found) {
                out.push_str(&tag[at..place.start]);
                at = place.end;
            }
        }
        out.push_str(&tag[at..]);
    }

    /// The packet without the declarations of prefixes that nothing uses any more.
    fn without_unused(&self, mut packet: String) -> String {
        let stale = |uri: &str| {
            uri.starts_with("http://ns.google.com/photos/")
                || SECOND_PICTURES.iter().any(|known| uri.starts_with(known))
        };
        for (prefix, uri) in self.0.iter().filter(|(_, uri)| stale(uri)) {
            let uses = packet.matches(&format!("{prefix}:")).count();
            for quote in ['"', '\''] {
                let declaration = format!("xmlns:{prefix}={quote}{uri}{quote}");
                if uses == 0 {
                    packet = packet
                        .replace(&format!(" {declaration}"), "")
                        .replace(&declaration, "");
                }
            }
        }
        packet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(declared: &str, attributes: &str, elements: &str) -> String {
        format!(
            "<?xpacket begin='' id='x'?><x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"r\">\
             <rdf:Description rdf:about=\"\"{declared}{attributes}><dc:title>a &gt; b</dc:title>{elements}\
             </rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
        )
    }

    #[test]
    fn gain_maps_go() {
        let bytes = packet(
            " xmlns:hdrgm=\"http://ns.adobe.com/hdr-gain-map/1.0/\"\n xmlns:C='http://ns.google.com/photos/1.0/container/'",
            " hdrgm:Version=\"1.0\" dc:rights=\"x > y\"",
            "<C:Directory><rdf:Seq><rdf:li><C:Item C:Mime='a'/></rdf:li></rdf:Seq></C:Directory><dc:b/>",
        );
        let cleaned = clean(bytes.as_bytes()).expect("something to take out");
        assert!(cleaned.gain_map && !cleaned.video);
        let left = String::from_utf8(cleaned.packet).expect("text");
        assert_eq!(
            left.replace('\n', ""),
            packet("", " dc:rights=\"x > y\"", "<dc:b/>")
        );
    }

    #[test]
    fn videos_and_thumbnails_go_and_the_rest_stays() {
        let declared = " xmlns:GCamera=\"http://ns.google.com/photos/1.0/camera/\" xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\"";
        let bytes = packet(
            declared,
            " GCamera:MotionPhoto=\"1\" GCamera:BurstID=\"7\" xmp:Rating=\"5\"",
            "<GCamera:MicroVideoOffset>12</GCamera:MicroVideoOffset><xmp:Thumbnails><rdf:Alt/></xmp:Thumbnails>",
        );
        let cleaned = clean(bytes.as_bytes()).expect("something to take out");
        assert!(cleaned.video && !cleaned.gain_map);
        let left = String::from_utf8(cleaned.packet).expect("text");
        assert_eq!(
            left,
            packet(declared, " GCamera:BurstID=\"7\" xmp:Rating=\"5\"", "")
        );
    }

    #[test]
    fn other_packets_stay_as_they_are() {
        assert_eq!(clean(packet("", " xmp:Rating='5'", "").as_bytes()), None);
        assert_eq!(clean(b"<hdrgm:Version"), None);
        assert_eq!(clean(&[0xFF, 0xFE]), None);
        let cut = packet(
            " xmlns:hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/'",
            " hdrgm:Version='1'",
            "<hdrgm:X>",
        );
        for length in 0..cut.len() {
            let _ = clean(&cut.as_bytes()[..length]);
        }
    }
}
