//! How a profile's values stand for light.

/// What the arithmetic may add to a light; a step of a table's 16 bits is 15 times as much.
const ROUNDING: f32 = 1e-6;

/// How values stand for light. Continued below 0 as an odd function, and above 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Curve {
    /// `(a x + b)^gamma + e` from `d` on, and `c x + f` below.
    Parametric {
        gamma: f32,
        a: f32,
        b: f32,
        c: f32,
        d: f32,
        e: f32,
        f: f32,
    },
    /// Light at equal steps of the values from 0 to 1, never falling.
    #[cfg_attr(
        not(feature = "icc"),
        expect(dead_code, reason = "only files have tables")
    )]
    Table(Vec<f32>),
}

impl Curve {
    /// sRGB's.
    pub(super) fn srgb() -> Self {
        Self::Parametric {
            gamma: 2.4,
            a: 1.0 / 1.055,
            b: 0.055 / 1.055,
            c: 1.0 / 12.92,
            d: 0.040_45,
            e: 0.0,
            f: 0.0,
        }
    }

    /// The light of a value.
    pub(super) fn light(&self, value: f32) -> f32 {
        if value < 0.0 {
            return -self.light(-value);
        }
        match self {
            Self::Parametric {
                gamma, a, b, d, e, ..
            } if value >= *d => (a * value + b).max(0.0).powf(*gamma) + e,
            Self::Parametric { c, f, .. } => c * value + f,
            Self::Table(table) => {
                let at = value * (table.len() - 1) as f32;
                let step = (at as usize).min(table.len() - 2);
                table[step] + (at - step as f32) * (table[step + 1] - table[step])
            }
        }
    }

    /// The value of a light.
    pub(super) fn value(&self, light: f32) -> f32 {
        if light < 0.0 {
            return -self.value(-light);
        }
        match self {
            Self::Parametric {
                gamma,
                a,
                b,
                c,
                d,
                e,
                f,
            } => {
                let bend = (a * d.max(0.0) + b).max(0.0).powf(*gamma) + e;
                if light >= bend || *c <= 0.0 {
                    ((light - e).max(0.0).powf(1.0 / gamma) - b) / a
                } else {
                    (light - f) / c
                }
            }
            Self::Table(table) => {
                // Dark values of a table may share one light; what rounding adds to it must not skip them.
                let above = table.partition_point(|&at| at < light - ROUNDING);
                let step = above.clamp(1, table.len() - 1) - 1;
                let rise = table[step + 1] - table[step];
                let part = if rise > 0.0 {
                    (light - table[step]) / rise
                } else {
                    0.0
                };
                (step as f32 + part) / (table.len() - 1) as f32
            }
        }
    }
}
