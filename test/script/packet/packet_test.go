package packet

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"weftnet.io/weftnet/internal/scripttest"
)

func TestScripts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: runs programs in the kernel")
	}
	files, err := scripttest.Scripts(".")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Files: files,
		Setup: func(e *testscript.Env) error {
			b, err := newBench()
			if err != nil {
				return err
			}
			e.Values["bench"] = b
			e.Defer(b.close)
			return nil
		},
		Cmds: commands(),
	})
}
