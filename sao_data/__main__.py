"""`python -m sao_data` is the `sao` command."""

import sys

from sao_data.commands.main import main

sys.exit(main())
