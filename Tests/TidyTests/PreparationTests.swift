import Foundation
import Testing

/// A copy of the two commands in a project of its own, on a PATH where the toolchain, the
/// package manager and the program itself are scripts that note what they were asked.
private final class Machine {
    let place: URL
    let root: URL
    let bin: URL

    init(withSwift: Bool = true, withSudo: Bool = false) throws {
        place = FileManager.default.temporaryDirectory.appending(path: "han \(UUID())")
        root = place.appending(path: "check out")
        bin = place.appending(path: "bin")
        let manager = FileManager.default
        for folder in [bin, root.appending(path: "Tools"), root.appending(path: "Sources")] {
            try manager.createDirectory(at: folder, withIntermediateDirectories: true)
        }
        for path in ["Tools/han", "Tools/lib"] {
            try manager.copyItem(
                at: Checkout.root.appending(path: path), to: root.appending(path: path))
        }
        try Data().write(to: root.appending(path: "Package.swift"))
        try Data().write(to: root.appending(path: "Sources/a.swift"))
        for tool in [
            "bash", "cat", "chmod", "env", "find", "flock", "mkdir", "mv", "readlink", "rm",
            "sleep", "stat", "touch", "ls",
        ] {
            let real = ["/usr/bin/", "/bin/"].map { $0 + tool }
                .first(where: manager.isExecutableFile(atPath:))
            try manager.createSymbolicLink(
                atPath: bin.appending(path: tool).path,
                withDestinationPath: try #require(real, "\(tool) is missing"))
        }
        try script(
            "dpkg-query",
            """
            for name in "${@:3}"; do
                [ -e "$PLACE/missing" ] && [ "$name" = libssl-dev ] || echo "installed $name"
            done
            """)
        try script(
            "apt-get",
            "echo \"apt-get $*\"; [ \"${*/install/}\" = \"$*\" ] || rm \"$PLACE/missing\"")
        if withSwift { try script("swift", swift) }
        if withSudo { try script("sudo", "echo \"sudo $*\" >>\"$PLACE/log\"; exit 1") }
        // A visitor must be able to enter and to write, whoever runs this suite.
        _ = try Command("/usr/bin/env", "chmod", "-R", "a+rwX", place.path).run()
    }

    deinit { try? FileManager.default.removeItem(at: place) }

    private let swift = """
        echo "swift $1" >>"$PLACE/log"
        case $1 in
            --version) echo "Swift version $VERSION (a script)" ;;
            build)
                echo "[1/1] Compiling"
                trap 'echo interrupted >>"$PLACE/log"; exit 130' INT
                for ((i = 0; i < DELAY; i++)); do sleep 0.1; done
                [ "$BROKEN" = no ] || { echo "a.swift:1: error: broken"; exit 1; }
                mkdir -p "$5/.build/release"
                cat >"$5/.build/release/han.new" <<'END'
        #!/usr/bin/env bash
        printf '%s\\n' "$$" "$PWD" "$HAN_HOME" "$@"
        [ ! -e /proc/$$/fd/9 ] || echo "the lock is still open"
        exit 7
        END
                chmod +x "$5/.build/release/han.new"
                mv "$5/.build/release/han.new" "$5/.build/release/han"
                ;;
        esac
        """

    func script(_ name: String, _ body: String) throws {
        let url = bin.appending(path: name)
        try "#!/usr/bin/env bash\n\(body)\n".write(to: url, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: url.path)
    }

    func lackPackage() throws { try Data().write(to: place.appending(path: "missing")) }

    /// What the scripts have noted so far, and nothing after.
    func takeLog() -> [String] {
        let url = place.appending(path: "log")
        defer { try? FileManager.default.removeItem(at: url) }
        return ((try? String(contentsOf: url, encoding: .utf8)) ?? "")
            .split(separator: "\n").map(String.init)
    }

    func touch(_ path: String) throws {
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSinceNow: 5)],
            ofItemAtPath: root.appending(path: path).path)
    }

    /// Tools/han with these arguments; `asVisitor` is a user with no rights.
    func han(
        _ arguments: [String] = [], version: String = "6.3.1", broken: Bool = false,
        delay: Int = 0, asVisitor: Bool = false, by path: String? = nil
    ) -> Command {
        var command = Command(path ?? root.appending(path: "Tools/han").path)
        command.arguments = arguments
        if asVisitor && geteuid() == 0 {
            command.arguments =
                ["--reuid=65534", "--regid=65534", "--clear-groups", command.program] + arguments
            command.program = "/usr/bin/setpriv"
        }
        command.environment = [
            "PATH": bin.path, "PLACE": place.path, "VERSION": version,
            "BROKEN": broken ? "yes" : "no", "DELAY": "\(delay)", "HOME": place.path,
        ]
        return command
    }
}

@Suite("Tools/han")
struct PreparationTests {
    @Test("it builds once, and then becomes the program: pid, arguments, folder and exit code")
    func becomesTheProgram() throws {
        let machine = try Machine()
        let first = try machine.han(["run", "a b"]).run(in: URL(filePath: "/usr"))
        #expect(first.code == 7)
        let lines = ["\(first.pid)", "/usr", machine.root.path, "run", "a b"]
        #expect(first.output.split(separator: "\n").map(String.init) == lines)
        #expect(first.errors.contains("[1/1] Compiling"))
        #expect(machine.takeLog() == ["swift --version", "swift build"])

        let second = try machine.han(["x"]).run()
        #expect(second.code == 7)
        #expect(second.errors == "")
        #expect(machine.takeLog() == [])
    }

    @Test("it is found through a symbolic link")
    func symbolicLink() throws {
        let machine = try Machine()
        let link = machine.place.appending(path: "a link")
        try FileManager.default.createSymbolicLink(
            at: link, withDestinationURL: machine.root.appending(path: "Tools/han"))
        let result = try machine.han(by: link.path).run(in: URL(filePath: "/"))
        #expect(result.code == 7)
        #expect(result.output.contains("\n\(machine.root.path)\n"))
    }

    @Test("a newer source, a removed source and another toolchain each lead to a build")
    func staleness() throws {
        let machine = try Machine()
        func builds() throws -> Bool {
            _ = try machine.han().run()
            return machine.takeLog().contains("swift build")
        }
        #expect(try builds())
        #expect(try !builds())
        try machine.touch("Sources/a.swift")
        #expect(try builds())
        try FileManager.default.removeItem(at: machine.root.appending(path: "Sources/a.swift"))
        #expect(try builds())
        #expect(try !builds())
        try machine.script("swift.new", "")
        _ = try Command(
            "/usr/bin/env", "bash", "-c", "cat swift >>swift.new; mv swift.new swift",
            environment: nil
        ).run(in: machine.bin)
        _ = try Command("/usr/bin/env", "chmod", "755", "swift").run(in: machine.bin)
        #expect(try builds())
        #expect(try !builds())
    }

    @Test("sources that cannot be looked through may have changed, so the program is built anew")
    func failingFind() throws {
        let machine = try Machine()
        _ = try machine.han().run()
        #expect(machine.takeLog().contains("swift build"))
        try FileManager.default.removeItem(at: machine.bin.appending(path: "find"))
        try machine.script("find", "echo 'find: too many open files' >&2; exit 1")
        let result = try machine.han().run()
        #expect(result.code == 7)
        #expect(machine.takeLog().contains("swift build"))
    }

    @Test(
        "with hardly any file descriptors each script ends with 69 and says so",
        arguments: ["han", "test", "bench", "fuzz"])
    func fewDescriptors(name: String) throws {
        let script = Checkout.root.appending(path: "Tools/\(name)").path
        let result = try Command("/bin/bash", "-c", "ulimit -n 4; exec \"$0\"", script).run()
        #expect(result.code == 69)
        #expect(result.output == "")
        #expect(result.errors.contains("han: Tools/lib/prepare.sh cannot be read"))
    }

    @Test("a failed build shows the compiler's errors, ends with 70 and is tried again")
    func failedBuild() throws {
        let machine = try Machine()
        for _ in 0..<2 {
            let result = try machine.han(broken: true).run()
            #expect(result.code == 70)
            #expect(result.output == "")
            #expect(result.errors.contains("a.swift:1: error: broken\nhan: the build failed"))
        }
        #expect(try machine.han().run().code == 7)
    }

    @Test("no toolchain, an old one and a broken one each end with 69 and say so")
    func toolchain() throws {
        let bare = try Machine(withSwift: false)
        let none = try bare.han().run()
        #expect(none.code == 69)
        #expect(none.errors.hasPrefix("han: no Swift toolchain"))
        let machine = try Machine()
        let old = try machine.han(version: "6.1").run()
        #expect(old.code == 69)
        #expect(old.errors.contains("is Swift 6.1; 6.3 or later is needed"))
        try machine.script("swift", "echo 'libxyz.so.6 is missing'; exit 127")
        let broken = try machine.han().run()
        #expect(broken.code == 69)
        #expect(broken.errors.contains("does not work: libxyz.so.6 is missing"))
    }

    @Test("a program that is built runs without a toolchain and in a checkout nobody may write to")
    func readOnly() throws {
        let machine = try Machine()
        _ = try machine.han().run()
        _ = try Command("/usr/bin/env", "chmod", "-R", "a-w", machine.root.path).run()
        try FileManager.default.removeItem(at: machine.bin.appending(path: "swift"))
        let result = try machine.han(asVisitor: true).run()
        #expect(result.code == 7)
        #expect(result.errors == "")
        try machine.touch("Sources/a.swift")
        try machine.script("swift", "echo 'Swift version 6.3'")
        let stale = try machine.han(asVisitor: true).run()
        #expect(stale.code == 74)
        #expect(stale.errors.contains(".build cannot be written"))
        _ = try Command("/usr/bin/env", "chmod", "-R", "u+w", machine.root.path).run()
    }

    @Test("somebody with no rights gets the one line to run and 69", arguments: [false, true])
    func noRights(withSudo: Bool) throws {
        let machine = try Machine(withSudo: withSudo)
        try machine.lackPackage()
        let result = try machine.han(asVisitor: true).run()
        #expect(result.code == 69)
        #expect(result.errors.split(separator: "\n").count == 1)
        #expect(
            result.errors.hasSuffix(
                "run as root: apt-get update && apt-get install -y --no-install-recommends "
                    + "libssl-dev\n"))
        #expect(machine.takeLog() == (withSudo ? ["sudo -n true"] : []))
    }

    @Test(
        "root installs what is missing, says what, and keeps it off standard output",
        .enabled(if: geteuid() == 0, "this suite does not run as root"))
    func installs() throws {
        let machine = try Machine()
        try machine.lackPackage()
        let result = try machine.han().run()
        #expect(result.code == 7)
        #expect(!result.output.contains("apt-get"))
        #expect(result.errors.hasPrefix("han: installing Debian packages: libssl-dev\napt-get"))
        #expect(result.errors.contains("install -y --no-install-recommends libssl-dev\n"))
        #expect(try machine.han().run().errors == "")
    }

    @Test("of two that start at once the second waits for the first and says so")
    func twoAtOnce() throws {
        let machine = try Machine()
        let first = try machine.han(delay: 10).start()
        while !FileManager.default.fileExists(
            atPath: machine.root.appending(path: ".build/han.stamp.new").path)
        {
            usleep(10_000)
        }
        let second = try machine.han(delay: 10).run()
        #expect(second.code == 7)
        #expect(second.errors.hasPrefix("han: another Tools/han or Tools/test is preparing"))
        #expect(try first.finish().code == 7)
        #expect(machine.takeLog().filter { $0 == "swift build" }.count == 1)
    }

    @Test(
        "a signal ends the build with it and leaves no lock", arguments: [SIGTERM, SIGINT, SIGHUP])
    func interrupted(signal: Int32) throws {
        let machine = try Machine()
        let running = try machine.han(delay: 100).start()
        while (try? String(contentsOf: running.errors, encoding: .utf8))?.contains("Compiling")
            != true
        {
            usleep(10_000)
        }
        kill(running.process.processIdentifier, signal)
        let result = try running.finish()
        #expect(result.signalled && result.code == signal)
        #expect(result.errors.contains("the build was interrupted"))
        #expect(machine.takeLog().last == "interrupted")
        let next = try machine.han().run()
        #expect(next.code == 7)
        #expect(!next.errors.contains("waiting"))
    }
}
