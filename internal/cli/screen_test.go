package cli

import (
	"os"
	"testing"

	"weftnet.io/weftnet/internal/cli/screen"
)

// A pod has a say in names, an agent that was taken over in all that is shown.
func TestATerminalIsShownNothingThatItWouldObey(t *testing.T) {
	device, err := os.Open(os.DevNull) // a terminal is a device, too
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	if w, _ := shown(device); w == device {
		t.Error("a terminal gets what others say as it is")
	} else if _, is := w.(*screen.Writer); !is {
		t.Errorf("have a %T", w)
	}
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if w, _ := shown(file); w != file {
		t.Errorf("a file gets it by a %T", w)
	}
}
