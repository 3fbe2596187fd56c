package file

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
)

func text(rows []network.File, dir string) string {
	var out strings.Builder
	for _, r := range rows {
		name, _ := filepath.Rel(dir, r.Path)
		out.WriteString(strings.Join([]string{r.Name, name, r.Config, r.Wrong}, "|") + "\n")
	}
	return out.String()
}

func TestOnlyPlainFilesOfTheFolderAreRead(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(first, 0o755))
	must(os.Mkdir(second, 0o755))
	put := func(name, text string) { t.Helper(); must(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)) }
	put("secret", `{"name": "secret", "type": "macvlan"}`)
	put("first/10-a.conf", `{"name": "a", "type": "macvlan"}`)
	put("first/20-b.conflist", `{"name": "b", "plugins": [{"type": "bridge"}]}`)
	put("first/30-again.json", `{"name": "a", "type": "vlan"}`)
	put("first/40-other.txt", `{"name": "c", "type": "macvlan"}`)
	must(os.Symlink("10-a.conf", filepath.Join(first, "45-near.conf")))
	must(os.Symlink("../secret", filepath.Join(first, "50-up.conf")))
	must(os.Symlink(filepath.Join(dir, "secret"), filepath.Join(first, "51-far.conf")))
	must(os.Symlink("/dev/zero", filepath.Join(first, "52-zero.conf")))
	must(os.Mkdir(filepath.Join(first, "60-folder.conf"), 0o755))
	put("first/70-nameless.conf", `{"type": "macvlan"}`)
	put("first/71-typeless.conf", `{"name": "d"}`)
	put("first/72-multus.conf", `{"name": "multus", "type": "multus-shim"}`)
	put("first/73-half.conf", `{"name": "e"`)
	put("first/74-big.conf", strings.Repeat(" ", most)+"{}")
	put("second/10-b.conf", `{"name": "b", "type": "vlan"}`)
	put("second/20-weft.conflist", `{"name": "weft", "plugins": [{"type": "weft-cni"}, {"type": "portmap"}]}`)
	const want = `a|first/10-a.conf|{"name": "a", "type": "macvlan"}|
b|first/20-b.conflist|{"name": "b", "plugins": [{"type": "bridge"}]}|
|first/50-up.conf||it is a link that leads out of its folder
|first/51-far.conf||it is a link that leads out of its folder
|first/52-zero.conf||it is a link that leads out of its folder
|first/60-folder.conf||it is no plain file
|first/70-nameless.conf||it states no name
|first/71-typeless.conf||it names no plugin
|first/72-multus.conf||it is that of Multus itself
|first/73-half.conf||it cannot be read as a CNI configuration: unexpected end of JSON input
|first/74-big.conf||it has 1048578 bytes, and 1048576 are read at most
weft|second/20-weft.conflist|{"type": "cilium-cni"}|
`
	if got := text(Read([]string{first, second, filepath.Join(dir, "none")}), dir); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestTheTableFollowsTheFolder(t *testing.T) {
	_, db := table.New()
	a, b := network.File{Name: "a", Path: "/x/a", Config: "{}"}, network.File{Path: "/x/b", Wrong: "it is no plain file"}
	for _, rows := range [][]network.File{{a, b}, {b}, {{Name: "b", Path: "/x/b", Config: "{}"}}, nil} {
		if err := write(db, rows); err != nil {
			t.Fatal(err)
		}
		var have []network.File
		for f := range network.Files.All(db.Snapshot()) {
			have = append(have, f)
		}
		want := map[state.Key]network.File{}
		for _, r := range rows {
			want[network.Files.Key(r)] = r
		}
		if len(have) != len(rows) || !network.Files.IsSynced(db.Snapshot()) {
			t.Errorf("have %v, want %v", have, rows)
		}
		for _, f := range have {
			if want[network.Files.Key(f)] != f {
				t.Errorf("have %v, want %v", f, rows)
			}
		}
	}
}
