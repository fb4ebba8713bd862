from httpbucket.cli.main import main

raise SystemExit(main(["serve"]))
