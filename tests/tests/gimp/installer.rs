//! `gimp-plugin/install` finds the folders of plug-ins.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use dino_ir_tests::program;

#[test]
fn the_installer_finds_every_gimp() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = [".config/GIMP/3.2", ".var/app/org.gimp.GIMP/config/GIMP/3.0"];
    for folder in settings {
        fs::create_dir_all(home.path().join(folder)).expect("a folder");
    }
    let install = |arguments: &[&str]| {
        let script = dino_ir_tests::package().join("../gimp-plugin/install");
        let output = Command::new(script)
            .args(arguments)
            .env("HOME", home.path())
            .env_remove("XDG_CONFIG_HOME")
            .output()
            .expect("the script starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let built = program("dino-ir-restore");
    let said = install(&["--program", &built.display().to_string()]);
    for folder in settings {
        let plug_ins = home.path().join(folder).join("plug-ins");
        assert!(said.contains(&plug_ins.display().to_string()), "{said}");
        let installed = plug_ins.join("dino-ir-restore/dino-ir-restore");
        let mode = fs::metadata(&installed)
            .expect("installed")
            .permissions()
            .mode();
        assert_eq!(
            mode & 0o111,
            0o111,
            "GIMP passes over what it cannot execute"
        );
        assert_eq!(fs::read(&installed).ok(), fs::read(&built).ok());
        assert!(plug_ins.join("dino-ir-restore/help/en/index.html").exists());
    }
    install(&["--uninstall"]);
    for folder in settings {
        let left = home.path().join(folder).join("plug-ins/dino-ir-restore");
        assert!(!left.exists(), "{}", left.display());
    }
}
