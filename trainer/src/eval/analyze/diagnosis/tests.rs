use super::*;

fn case(kind: Kind, level: f32, faults: Faults) -> Case {
    let found = Diagnosis {
        faults,
        variances: [1.0; 5],
    };
    Case { kind, level, found }
}

fn noise(sigma: f32) -> Faults {
    Faults {
        noise: sigma,
        ..Faults::NONE
    }
}

#[test]
fn errors_and_calls_are_counted() {
    let rain = |share| Faults {
        rain: share,
        ..Faults::NONE
    };
    let cases = vec![
        case(Kind::Clean, 0.0, Faults::NONE),
        case(Kind::Clean, 0.0, noise(6.0)),
        case(Kind::Noise, 25.0, noise(22.0)),
        case(Kind::Rain, 0.0, rain(0.3)),
        case(Kind::Rain, 0.0, rain(0.0)),
        case(Kind::WithoutRain, 0.0, rain(0.1)),
    ];
    let found = Found::new(cases, BTreeMap::new());
    // 0, 6 and 3.
    assert!((found.mean_errors["noise"] - 3.0).abs() < 1e-6);
    assert_eq!(found.levels["noise"].len(), 2);
    assert!(!found.levels.contains_key("blur"));
    assert!((found.auc["rain against the same without"] - 0.5).abs() < 1e-9);
    assert!((found.auc["rain against CBSD68"] - 0.75).abs() < 1e-9);
    let clean = &found.confusion[0];
    assert_eq!((clean.photos, clean.fine, clean.called["noise"]), (2, 1, 1));
    let folder = tempfile::tempdir().expect("temporary folder");
    found.plot(&folder.path().join("plot.png")).expect("drawn");
    assert!(found.text().contains("noise: mean error 3.00"));
}
