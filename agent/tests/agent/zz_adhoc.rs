use std::time::Instant;
use super::{fake::{Fake, token}, process::Agent, work, wire::inside};

#[tokio::test(flavor = "multi_thread")]
async fn adhoc() {
    let (fake, tmp) = (Fake::start().await, tempfile::tempdir_in("/work/t").unwrap());
    let t0 = Instant::now();
    let agent = Agent::spawn(&fake.url(), tmp.path());
    fake.session().await;
    eprintln!("spawn to credits {:?}", t0.elapsed());
    let st = std::process::Command::new("strace").args(["-f", "-tt", "-e", "trace=fdatasync,fsync", "-o", "/work/t/strace.out", "-p", &agent.pid().to_string()]).spawn();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    for _ in 0..6 {
        let t = token();
        let t1 = Instant::now();
        fake.offer(&t, &work::script("true")).await;
        loop { if fake.state.lock().unwrap().started(&t) { break } tokio::time::sleep(std::time::Duration::from_micros(200)).await; }
        let s = t1.elapsed();
        loop { if fake.state.lock().unwrap().finished(&t).is_some() { break } tokio::time::sleep(std::time::Duration::from_micros(200)).await; }
        eprintln!("container started {s:?} finished {:?}", t1.elapsed());
    }
    drop(st);
    drop(agent);
    let tmp = tempfile::tempdir_in("/work/t").unwrap();
    let fake = Fake::start().await;
    let registry = super::actions::registry().0;
    let agent = inside(&fake.url(), tmp.path(), registry.clone());
    fake.session().await;
    let mut all = vec![];
    for _ in 0..50 {
        let t = token();
        let t1 = Instant::now();
        fake.offer(&t, &work::action(&registry, "test/works", types::Object::new())).await;
        loop { if fake.state.lock().unwrap().finished(&t).is_some() { break } tokio::time::sleep(std::time::Duration::from_micros(100)).await; }
        all.push(t1.elapsed());
    }
    all.sort();
    eprintln!("action median {:?} min {:?}", all[25], all[0]);
    agent.end().await.unwrap();
}
