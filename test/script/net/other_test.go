package net

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// other is the program of an agent whose connections have another shape: the same sources, but for struct ct, which
// has a new member in front and others in another place. It is built once, beside the tree, of which it changes nothing.
//
// A machine without Go gets it built: WEFT_OTHER_AGENT names the file, which the tests write, and nothing else, where
// WEFT_BUILD_OTHER is set.
var other = sync.OnceValues(func() (string, error) {
	if built := os.Getenv("WEFT_OTHER_AGENT"); built != "" {
		return built, nil
	}
	return buildOther()
})

func buildOther() (string, error) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "weft-other")
	if err != nil {
		return "", err
	}
	others = dir
	b := build{root: root, dir: dir}
	b.do(os.CopyFS(dir+"/bpf", os.DirFS(root+"/bpf")))
	b.do(os.MkdirAll(dir+"/abi", 0o755))
	b.change()
	b.run("go", "run", "./tools/abigen", "-headers", dir+"/bpf/lib/abi", "-include", dir+"/bpf/include", "-out", dir+"/abi")
	b.programs()
	b.overlay()
	b.run("go", "test", "-c", "-overlay", dir+"/overlay.json", "-o", dir+"/agent", "./test/script/net")
	return dir + "/agent", b.err
}

// otherMain builds the other version for a machine that cannot.
func otherMain() error {
	defer func() { os.RemoveAll(others) }()
	built, err := buildOther()
	if err != nil {
		return err
	}
	program, err := os.ReadFile(built)
	if err != nil {
		return err
	}
	return os.WriteFile(os.Getenv("WEFT_OTHER_AGENT"), program, 0o755)
}

// others is where the other version was built; empty: nowhere.
var others string

// build is a row of steps, of which none is done once one has failed.
type build struct {
	root, dir string
	err       error
}

func (b *build) do(err error) {
	if b.err == nil {
		b.err = err
	}
}

func (b *build) run(name string, args ...string) {
	if b.err != nil {
		return
	}
	c := exec.Command(name, args...)
	c.Dir = b.root
	if out, err := c.CombinedOutput(); err != nil {
		b.err = fmt.Errorf("build the other version: %s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
}

// change gives struct ct its other shape.
func (b *build) change() {
	path := b.dir + "/bpf/lib/abi/ct.h"
	text, err := os.ReadFile(path)
	b.do(err)
	const verdicts = "	struct ct_verdict egress;	/* at the source NIC */\n	struct ct_verdict ingress; /* at the target NIC */\n"
	const head, foot = "struct ct {\n", "	__u32 owner;"
	if b.err == nil && (!bytes.Contains(text, []byte(head+verdicts)) || bytes.Count(text, []byte(foot)) == 0) {
		b.err = fmt.Errorf("%s: struct ct is not what this test knows: it begins with its two verdicts, and has an owner", path)
	}
	start := bytes.Index(text, []byte(head))
	if b.err != nil {
		return
	}
	ct := string(text[start:])
	ct = strings.Replace(ct, head+verdicts, head+"	__u64 novelty;\n", 1)
	ct = strings.Replace(ct, foot, verdicts+foot, 1)
	b.do(os.WriteFile(path, append(text[:start:start], ct...), 0o644))
}

// programs compiles every program as internal/datapath does.
func (b *build) programs() {
	b.run("go", "run", "./tools/bpfgen", "-sources", b.dir+"/bpf", "-out", b.dir+"/object")
}

func (b *build) overlay() {
	replace := map[string]string{}
	for from, to := range map[string]string{"abi": "internal/bpf/abi", "object": "internal/datapath/object"} {
		files, err := os.ReadDir(filepath.Join(b.dir, from))
		b.do(err)
		for _, f := range files {
			replace[filepath.Join(b.root, to, f.Name())] = filepath.Join(b.dir, from, f.Name())
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	b.do(err)
	b.do(os.WriteFile(b.dir+"/overlay.json", text, 0o644))
}
