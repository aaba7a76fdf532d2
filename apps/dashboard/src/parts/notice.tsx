import type { ReactNode } from "react";
import styles from "./notice.module.css";

interface NoticeProps {
  readonly tone: "warn" | "bad" | "plain";
  readonly children: ReactNode;
  readonly actions?: ReactNode;
}

/** A sentence that a person should read, with what can be done about it. */
export function Notice({ tone, children, actions }: NoticeProps) {
  return (
    <div className={styles["notice"]} data-tone={tone}>
      <p>{children}</p>
      {actions !== undefined && <div className={styles["actions"]}>{actions}</div>}
    </div>
  );
}
