import Glibc

/// Why the folders that `han` works with were not found.
public enum InstallationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// `HAN_HOME` names something without the two folders.
    case wrongHome(String)
    /// No folder above the executable holds them.
    case notFound(executable: String)

    public var description: String {
        switch self {
        case .wrongHome(let path):
            "HAN_HOME is '\(path)', which does not hold both folders Profiles and Firmware; "
                + "set it to the root of the checkout, or unset it"
        case .notFound(let executable):
            "no folder above '\(executable)' holds both Profiles and Firmware; "
                + "set HAN_HOME to the root of the checkout"
        }
    }
}

/// The folders with profiles and firmware that this program works with.
public struct Installation: Hashable, Sendable {
    /// The folder that holds both.
    public let root: String
    public var profiles: String { root + "/Profiles" }
    public var firmware: String { root + "/Firmware" }

    /// Finds them: in the folder that the environment variable `HAN_HOME` names (`Tools/han` sets
    /// it to the checkout's root), else in the nearest folder above the running executable.
    public static func locate() throws(InstallationError) -> Installation {
        try locate(home: getenv("HAN_HOME").map { String(cString: $0) }, executable: executable())
    }

    /// The same with the environment's and the system's answers given. An empty `home` counts as
    /// unset.
    public static func locate(
        home: String?, executable: String
    ) throws(InstallationError) -> Installation {
        if let home, !home.isEmpty {
            guard holdsFolders(home) else { throw .wrongHome(home) }
            return Installation(root: home)
        }
        var folder = executable[...]
        while let slash = folder.lastIndex(of: "/") {
            folder = folder[..<slash]
            if holdsFolders(String(folder)) { return Installation(root: String(folder)) }
        }
        throw .notFound(executable: executable)
    }

    private static func holdsFolders(_ root: String) -> Bool {
        Files.isFolder(root + "/Profiles") && Files.isFolder(root + "/Firmware")
    }

    /// The running program's own path, links resolved.
    private static func executable() -> String {
        guard let path = realpath("/proc/self/exe", nil) else { return "han" }
        defer { free(path) }
        return String(cString: path)
    }
}
