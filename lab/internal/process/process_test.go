package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func sleeper(t *testing.T) (*exec.Cmd, Record) {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	rec, err := Find(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return cmd, rec
}

func TestARecordSurvivesTheFileSystem(t *testing.T) {
	_, rec := sleeper(t)
	path := filepath.Join(t.TempDir(), "pid", "sleep.json")
	if err := rec.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil || got != rec {
		t.Fatalf("got %+v, %v; want %+v", got, err, rec)
	}
	if !got.Alive() {
		t.Error("the process runs, but Alive says no")
	}
}

func TestARecycledNumberIsNeitherAliveNorKilled(t *testing.T) {
	cmd, rec := sleeper(t)
	rec.Start-- // what an earlier owner of the number would have recorded
	if rec.Alive() {
		t.Error("a record of an earlier process counts as alive")
	}
	if err := rec.Kill(); err != nil {
		t.Error(err)
	}
	if state, _, err := stat(cmd.Process.Pid); err != nil || state == 'Z' {
		t.Errorf("the innocent process was killed: state %c, %v", state, err)
	}
}

func TestARecordOfAnEarlierBootIsDead(t *testing.T) {
	_, rec := sleeper(t)
	rec.Boot = "0"
	if rec.Alive() {
		t.Error("a record of another boot counts as alive")
	}
}

func TestKillEndsTheRecordedProcess(t *testing.T) {
	cmd, rec := sleeper(t)
	if err := rec.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if rec.Alive() {
		t.Error("still alive")
	}
	if err := rec.Kill(); err != nil {
		t.Errorf("a second kill: %v", err)
	}
}

func TestStartWritesTheLogAndLeavesTheSession(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	rec, err := Start(Spec{Name: "sleeper", Path: "/bin/sh", Args: []string{"-c", "echo hello; exec sleep 1000"}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rec.Kill() })
	for {
		if b, _ := os.ReadFile(log); string(b) == "hello\n" {
			break
		}
		if !rec.Alive() {
			t.Fatal("ended before it wrote its log")
		}
	}
}
