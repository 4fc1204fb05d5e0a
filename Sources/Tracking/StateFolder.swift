/// Where a server of this user's keeps what must outlive it, unless it is told otherwise.
public enum StateFolder {
    /// The store's name in it.
    public static let store = "tracking.sqlite"

    /// `$XDG_STATE_HOME/han/serve`, or `~/.local/state/han/serve`; nil if there is no home either.
    /// As XDG has it, a folder that is not given from the root on counts for nothing.
    public static func serve(environment: [String: String]) -> String? {
        if let state = environment["XDG_STATE_HOME"], state.hasPrefix("/") {
            return state + "/han/serve"
        }
        guard let home = environment["HOME"], home.hasPrefix("/") else { return nil }
        return home + "/.local/state/han/serve"
    }
}
