//! Messages, threads, calls inside calls.

use super::*;

#[test]
fn a_panic_becomes_a_code() {
    let result = guarded::<()>(|| panic!("asked to"));
    assert_eq!(result, Err(Status::Internal));
    assert!(message().contains("report this bug"), "{}", message());
}

#[test]
fn what_a_source_says_is_the_message() {
    let sentence = "the tape is torn at row 7; take another copy";
    let result = guarded::<()>(|| Err(dino_ir::Error::Caller(sentence.into()).into()));
    assert_eq!(result, Err(Status::Internal));
    assert_eq!(message(), sentence);
}

#[test]
fn messages_are_each_threads_own() {
    // SAFETY: no handle.
    let status =
        unsafe { dino_ir_restore(null_mut(), null(), null_mut(), null(), None, null_mut()) };
    assert_eq!(status, Status::InvalidArgument as c_int);
    assert!(!message().is_empty());
    let other = std::thread::spawn(message).join().expect("the thread ends");
    assert_eq!(other, "");
}

#[test]
fn opening_leaves_no_old_message() {
    // SAFETY: NULL and strings.
    unsafe { assert!(dino_ir_open(null(), c"tpu".as_ptr()).is_null()) };
    assert!(!message().is_empty());
    dino_ir_close(open());
    assert_eq!(message(), "");
}

#[test]
fn a_restorer_serves_one_call_at_a_time() {
    /// Restores again with the same handle, from inside.
    unsafe extern "C" fn again(_: u32, _: u32, user: *mut c_void) -> c_int {
        let (from, mut to) = (picture(3, Sample::U8, 0), picture(3, Sample::U8, 0));
        restore(user.cast(), &from, &mut to, &options(1.0))
    }
    let restorer = open();
    let (from, mut to) = (picture(3, Sample::U8, 0), picture(3, Sample::U8, 0));
    // SAFETY: pictures made here.
    let status = unsafe {
        dino_ir_restore(
            restorer,
            &from.image,
            &mut to.image,
            null(),
            Some(again),
            restorer.cast(),
        )
    };
    // The inner call was refused, which the outer one takes for a cancel.
    assert_eq!(status, Status::Cancelled as c_int);
    assert_eq!(restore(restorer, &from, &mut to, &options(1.0)), 0);
    dino_ir_close(restorer);
    assert_eq!(
        restore(restorer, &from, &mut to, &options(1.0)),
        Status::InvalidArgument as c_int
    );
    dino_ir_close(restorer);
}
